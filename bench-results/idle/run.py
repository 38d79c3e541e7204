#!/usr/bin/env python3
"""What idle client connections take: resident memory of the gateway and of nginx, without and with them.

Each proxy is started anew for each measurement. Every client connection makes one request and stays, which is
what keep-alive clients leave behind. Resident memory does not show what the kernel holds for a socket or for
a pending operation of io_uring; so the growth of the kernel's slabs is told as well. That one is of the whole
machine and holds both ends of each connection: compare its rows, not its height. nginx reserves its
table of 16,384 connections at its start, which is in what it takes before.

    python3 bench-results/idle/run.py [--rounds 3] [--connections 10000]
"""

import argparse
import socket
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lib")]
import bench  # noqa: E402
import contestants  # noqa: E402

REQUEST = b"GET /function/tcp/ HTTP/1.1\r\nHost: h\r\n\r\n"
END_OF_ANSWER = b"hello world\n"


def slab_kib():
    """What the kernel's object caches hold."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("Slab:"):
            return int(line.split()[1])
    return 0


def settled_kib(pids, seconds=10):
    """Resident memory of the processes, once it has stopped to change."""
    deadline, last = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        now = sum(bench.rss_kib(pid) for pid in pids)
        if now == last:
            return now
        last = now
        time.sleep(0.2)
    return last


def idle_client(port):
    """A connection that has had its answer."""
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    client.sendall(REQUEST)
    answer = b""
    while not answer.endswith(END_OF_ANSWER):
        piece = client.recv(4096)
        if not piece:
            sys.exit("a connection has ended; the figures would mean nothing")
        answer += piece
    return client


def is_open(client):
    """Whether the proxy has kept the connection."""
    client.setblocking(False)
    try:
        return client.recv(1) != b""
    except BlockingIOError:
        return True


def case(name, binary, options):
    """A function that measures one proxy once."""

    def measure():
        with contestants.stage(binary) as stage:
            stage.replica(None)
            at = stage.start(name, None)
            idle_client(at.port).close()
            before, slab_before = settled_kib(at.pids), slab_kib()
            clients = [idle_client(at.port) for _ in range(options.connections)]
            with_them, slab = settled_kib(at.pids), slab_kib()
            kept = sum(map(is_open, clients))
            if kept != options.connections:
                sys.exit(f"{name} has kept {kept} connections; the figures would mean nothing")
            for client in clients:
                client.close()
            after = settled_kib(at.pids)
        return {
            "before_kib": before, "with_kib": with_them, "after_kib": after,
            "grown_kib": with_them - before, "each_kib": (with_them - before) / options.connections,
            "slab_each_kib": (slab - slab_before) / options.connections,
        }

    return measure


def table(results, options):
    """The figures for people."""
    lines = [
        f"# {options.connections:,} idle client connections",
        "",
        f"Medians of {options.rounds} rounds in shuffled order, one thread each; the ratio is of the growth, to "
        "nginx's in the same run. Slabs are the kernel's, of the whole machine, and hold both ends.",
        "",
        "| proxy | resident MiB before | with them | after they left | KiB each | ± | ratio | slab KiB each |",
        "|---|---|---|---|---|---|---|---|",
    ]
    floor = bench.median(results["nginx"], "grown_kib")
    for name, rounds in results.items():
        before, with_them, after, grown, each, slab = (
            bench.median(rounds, key)
            for key in ("before_kib", "with_kib", "after_kib", "grown_kib", "each_kib", "slab_each_kib")
        )
        lines.append(
            f"| {name} | {before / 1024:.1f} | {with_them / 1024:.1f} | {after / 1024:.1f} | {each:.2f} "
            f"| {bench.spread(rounds, 'each_kib'):.0%} | {grown / floor:.2f} | {slab:.1f} |"
        )
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=10_000)
    options = contestants.parsed(parser, ["nginx", *contestants.GATEWAYS])
    names = options.contestants
    bench.need("nginx")
    bench.raise_file_limit()
    binary = options.binary or bench.release_binary("ringway", "ringway")
    results = bench.interleaved({name: case(name, binary, options) for name in names}, options.rounds)
    bench.write(HERE, bench.machine() | contestants.versions(names), results, table(results, options))


if __name__ == "__main__":
    main()
