#!/usr/bin/env python3
"""What thousands of slow clients do to the latency of ordinary ones.

A paced load, well below what the gateway can do, runs with and without slow clients that send a byte
of their head a second each and connect anew when the header limit has ended them (`clients.c` is
both). The gateway has a core to itself; clients and replica share the other one. nginx with the same
header limit is there for comparison.

    python3 bench-results/slow-clients/run.py [--rounds 7] [--seconds 5] [--slow 2000]
"""

import argparse
import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import bench  # noqa: E402
import contestants  # noqa: E402

PROXY_CORE, LOAD_CORE = 0, 1
# The gateway's default.
HEAD_LIMIT_SECONDS = 10

NGINX = """
worker_processes 1; daemon off; pid {dir}/{name}.pid; error_log {dir}/{name}.log crit;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 1000000000; client_header_timeout {limit};
  client_body_temp_path {dir}/a; proxy_temp_path {dir}/b; fastcgi_temp_path {dir}/c;
  uwsgi_temp_path {dir}/d; scgi_temp_path {dir}/e;
  {body}
}}
"""
REPLICA = 'server {{ listen 127.0.0.1:{port}; location / {{ return 200 "hello world\\n"; }} }}'
PROXY = """
  upstream tcp {{ server 127.0.0.1:{replica}; keepalive 512; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    proxy_http_version 1.1; proxy_set_header Connection "";
    location /function/tcp/ {{ proxy_pass http://tcp/; }}
  }}
"""


def nginx(directory, name, body, core, stack):
    """Starts an nginx."""
    config = Path(directory) / f"{name}.conf"
    config.write_text(NGINX.format(dir=directory, name=name, limit=HEAD_LIMIT_SECONDS, body=body))
    stack.enter_context(bench.running(["nginx", "-c", config], core))


@contextlib.contextmanager
def slow_clients(binary, port, options):
    """Slow clients for the length of a `with`: they come over the length of the limit, so that from
    then on the same number of them is ended, and comes back, in each second."""
    numbers = [str(port), str(options.slow), "1000", str(int(options.come_within * 1000))]
    command = ["taskset", "-c", str(LOAD_CORE), binary, "slow", *numbers]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout.readline() != "ready\n":
            sys.exit("the slow clients could not connect")
        # The first have come to their limit.
        time.sleep(1)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        ended = process.stdout.readline()
        process.wait(10)
    if int(ended) == 0:
        sys.exit(f"the header limit has ended no slow client")


def case(binary, port, is_slowed, options):
    """A function that measures one proxy once."""
    numbers = [str(port), "/function/tcp/", str(options.connections), str(options.rate), str(options.seconds)]
    command = ["taskset", "-c", str(LOAD_CORE), binary, "paced", *numbers]

    def measure():
        with slow_clients(binary, port, options) if is_slowed else contextlib.nullcontext():
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        answers, failures, p50, p99, longest = done.stdout.split()
        if int(failures):
            sys.exit(f"{failures} requests failed; the figures would mean nothing")
        return {"answers": int(answers), "p50_us": float(p50), "p99_us": float(p99), "max_us": float(longest)}

    return measure


def table(results, options):
    """The figures for people."""
    lines = [
        f"# {options.rate:,} requests a second on {options.connections} connections, with and without "
        f"{options.slow:,} slow clients",
        "",
        f"Medians of {options.rounds} rounds of {options.seconds} s in shuffled order; each slow client "
        f"sends a byte of its head a second and is ended after {HEAD_LIMIT_SECONDS} s; they come over "
        f"{options.come_within:.0f} s.",
        "",
        "| proxy | p50 µs alone | with slow | p99 µs alone | ± | with slow | ± | p99 changes by |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for proxy in ("nginx", *contestants.GATEWAYS):
        alone, slowed = results[f"{proxy} alone"], results[f"{proxy} slowed"]
        p99, p99_slowed = (bench.median(rounds, "p99_us") for rounds in (alone, slowed))
        lines.append(
            f"| {proxy} | {bench.median(alone, 'p50_us'):.0f} | {bench.median(slowed, 'p50_us'):.0f} "
            f"| {p99:.0f} | {bench.spread(alone, 'p99_us'):.0%} "
            f"| {p99_slowed:.0f} | {bench.spread(slowed, 'p99_us'):.0%} | {p99_slowed / p99 - 1:+.0%} |"
        )
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--slow", type=int, default=2000)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--come-within", type=float, default=HEAD_LIMIT_SECONDS, help="seconds")
    parser.add_argument("--rate", type=int, default=2000)
    options = parser.parse_args()
    bench.need("nginx", "cc", "taskset")
    binary = bench.release_binary("ringway", "ringway")
    # For all that is started here: every slow client is a descriptor at both ends.
    bench.raise_file_limit()

    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        clients = Path(directory) / "clients"
        subprocess.run(["cc", "-O2", "-o", clients, HERE / "clients.c"], check=True)
        replica = bench.free_port()
        nginx(directory, "replica", REPLICA.format(port=replica), LOAD_CORE, stack)
        ports = {"nginx": bench.free_port()}
        proxy = PROXY.format(replica=replica, port=ports["nginx"])
        nginx(directory, "proxy", proxy, PROXY_CORE, stack)
        for driver in contestants.DRIVERS:
            _, ports[f"ringway {driver}"] = bench.gateway(
                stack, binary, Path(directory) / driver, driver, PROXY_CORE, f"tcp=http://127.0.0.1:{replica}"
            )
        for port in (replica, *ports.values()):
            bench.wait_for_port(port)
        time.sleep(0.2)
        cases = {
            f"{name} {'slowed' if is_slowed else 'alone'}": case(clients, port, is_slowed, options)
            for name, port in ports.items()
            for is_slowed in (False, True)
        }
        results = bench.interleaved(cases, options.rounds)
    about = bench.machine() | {"nginx": bench.version(["nginx", "-v"])}
    bench.write(HERE, about, results, table(results, options))


if __name__ == "__main__":
    main()
