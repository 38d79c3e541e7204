#!/usr/bin/env python3
"""What it is worth to wait a little longer for more events at a time, with epoll.

`delay.c` is put in front of nginx and of the gateway under its epoll driver: after a wait that brought
many events, the next one begins some microseconds later. Beside them stand both as they are, and the
gateway on io_uring, which never waits for more than one completion. Closed loop for the CPU per
request, and open loop at half of nginx's highest rate for the price in latency.

    python3 bench-results/waiting/run.py [--rounds 5] [--seconds 2] [--delay 100] [--from 8]
"""

import argparse
import contextlib
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lib"), str(HERE.parent / "proxy")]
import bench  # noqa: E402
import contestants  # noqa: E402
import sections  # noqa: E402

CONNECTIONS = (8, 64, 256)
NAMES = ("nginx", "ringway epoll", "ringway ring")
DELAYED = ("nginx", "ringway epoll")


def dynamic_gateway():
    """The gateway, linked as most programs are: a static one takes no LD_PRELOAD."""
    target = bench.ROOT / "target/peers"
    command = ["cargo", "build", "--release", "--locked", "-p", "ringway", "--target-dir", target]
    subprocess.run(command, cwd=bench.ROOT, check=True, env=os.environ | {"RUSTFLAGS": "-C target-feature=-crt-static"})
    found = list(target.glob("*-linux-*/release/ringway"))
    return found[0] if len(found) == 1 else sys.exit(f"not one gateway below {target}: {found}")


@contextlib.contextmanager
def preloaded(library, options):
    """What is started meanwhile waits with a delay."""
    added = {"LD_PRELOAD": str(library), "DELAY_US": str(options.delay), "DELAY_FROM": str(options.least)}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def start_all(stage, options):
    """All contestants, with and without the delay."""
    library = stage.directory / "delay.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, HERE / "delay.c"], check=True)
    started = {name: stage.start(name, sections.PROXY_CORE) for name in NAMES}
    with preloaded(library, options):
        for name in DELAYED:
            started[f"{name}, delayed"] = stage.start(name, sections.PROXY_CORE)
    for name, contestant in started.items():
        maps = "".join(Path(f"/proc/{pid}/maps").read_text() for pid in contestant.pids)
        if ("delay.so" in maps) != name.endswith("delayed"):
            sys.exit(f"{name}: the delay is not where it should be")
    return started


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="of each measurement")
    parser.add_argument("--delay", type=int, default=100, help="µs")
    parser.add_argument("--from", type=int, default=8, dest="least", help="events that make the next wait late")
    parser.add_argument("--binary", type=Path, help="a dynamic gateway that is built already")
    options = parser.parse_args()
    bench.need("nginx", "wrk", "cc", "taskset")
    bench.raise_file_limit()
    binary = options.binary or dynamic_gateway()
    run = bench.Run(HERE)
    with contestants.stage(binary) as stage:
        stage.replica(sections.LOAD_CORE)
        started = start_all(stage, options)
        closed(stage, started, options, run)
        opened(stage, started, options, run)
    about = bench.machine() | contestants.versions(["nginx"]) | {"wrk": bench.version(["wrk", "-v"])}
    run.write(about | {"rounds": f"{options.rounds} of {options.seconds} s"})


def how(options):
    """The delay in words."""
    return f"`delayed`: {options.delay} µs after a wait that brought {options.least} events or more."


def closed(stage, started, options, run):
    """CPU per request under a load that waits for each answer."""
    cases = {
        (name, connections): contestants.closed_loop(
            at, at.url("tcp"), connections, options.seconds, sections.LOAD_CORE
        )
        for name, at in started.items()
        for connections in CONNECTIONS
    }
    results = bench.interleaved(cases, options.rounds)
    rows = {case: (rounds, results["nginx", case[1]]) for case, rounds in results.items()}
    note = f"TCP replica, 12 bytes, one thread on one core. {how(options)}"
    run.add_table("CPU per request, closed loop", note, bench.cost_table(("proxy", "connections"), rows))
    run.add_results("closed", results)


def opened(stage, started, options, run):
    """CPU and latency at half of nginx's highest rate."""
    program = stage.directory / "paced"
    subprocess.run(["cc", "-O2", "-o", program, HERE.parent / "proxy/paced.c"], check=True)
    rates = {n: round(sections.highest_rate(started["nginx"], n, options) / 2) for n in CONNECTIONS}
    stage.end_replica()
    cases = {
        (name, n): sections.open_loop(program, at, n, rates[n], options.seconds, stage.behind.tcp)
        for name, at in started.items()
        for n in CONNECTIONS
    }
    results = bench.interleaved(cases, options.rounds)
    rows = {case: (rounds, results["nginx", case[1]]) for case, rounds in results.items()}
    note = f"Requests come on a fixed schedule and count from the time at which they were due. {how(options)}"
    columns = {"p99.9 µs": "p999_us", "unanswered": "unanswered", "load late, p99 µs": "late_p99_us"}
    run.add_table(
        "At half of nginx's highest rate, open loop", note, bench.cost_table(("proxy", "connections"), rows, columns)
    )
    run.add_results("open", results)


if __name__ == "__main__":
    main()
