#!/usr/bin/env python3
"""CPU per proxied request with 10 functions in the table and with thousands, two replicas each.

All replicas are one nginx, which shares a core with wrk; the gateways have the other core and take
turns in shuffled order. Both are asked for the same 10 functions, so that what differs is the table
alone. Then the large one is asked for 1,000 functions at random, beside a gateway that has no more than
these: both keep the same number of connections to replicas, whose cost is the kernel's.

    python3 bench-results/table/run.py [--functions 10000] [--rounds 5] [--seconds 5]
"""

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import bench  # noqa: E402

GATEWAY_CORE, LOAD_CORE = 0, 1
REPLICAS = 2
CONNECTIONS = 64
FEW, SOME = 10, 1000

NGINX = """
worker_processes 1; worker_rlimit_nofile 16384; daemon off; pid {dir}/pid; error_log {dir}/log crit;
events {{ worker_connections 16000; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path {dir}/a; proxy_temp_path {dir}/b; fastcgi_temp_path {dir}/c;
  uwsgi_temp_path {dir}/d; scgi_temp_path {dir}/e;
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 "hello world\\n"; }} }}
}}
"""


def case(pid, port, asked, seconds):
    """A function that measures one gateway once, asked for so many of its functions."""

    def measure():
        os.environ["FUNCTIONS"] = str(asked)
        url = f"http://127.0.0.1:{port}/"
        script = Path(__file__).parent / "random.lua"
        before = bench.cpu_ns(pid)
        result = bench.wrk(url, CONNECTIONS, seconds, LOAD_CORE, script)
        used = bench.cpu_ns(pid) - before
        if result["errors"]:
            sys.exit(f"{result['errors']} requests failed; the figures would mean nothing")
        return {"cpu_us": used / 1000 / result["requests"], **result}

    return measure


def table(results, options):
    """The figures for people."""
    lines = [
        f"# CPU per proxied request by the size of the table, driver {options.driver}",
        "",
        f"Median of {options.rounds} rounds of {options.seconds} s in shuffled order, {CONNECTIONS} keep-alive "
        f"connections, {REPLICAS} replicas a function; the ratio is to the smaller table, asked alike in the same round (median of these).",
        "",
        "| asked for | functions in the table | CPU µs/request | ± | ratio |",
        "|---|---|---|---|---|",
    ]
    for asked in (FEW, SOME):
        small = results[f"{asked} of {asked}"]
        for size in (asked, options.functions):
            rounds = results[f"{asked} of {size}"]
            cpu = bench.median(rounds, "cpu_us")
            ratio = statistics.median(
                large["cpu_us"] / beside["cpu_us"] for large, beside in zip(rounds, small)
            )
            lines.append(
                f"| {asked} | {size:,} | {cpu:.2f} | {bench.spread(rounds, 'cpu_us'):.0%} | {ratio:.3f} |"
            )
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--functions", type=int, default=10_000)
    parser.add_argument("--driver", default="ring")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    options = parser.parse_args()
    bench.need("nginx", "wrk", "taskset")
    binary = bench.release_binary("ringway", "ringway")

    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        replica = bench.free_port()
        config = Path(directory) / "nginx.conf"
        config.write_text(NGINX.format(dir=directory, port=replica))
        stack.enter_context(bench.running(["nginx", "-c", config], LOAD_CORE))
        bench.wait_for_port(replica)
        gateways = {}
        for size in (FEW, SOME, options.functions):
            statics = [f"f{number}=http://127.0.0.1:{replica}" for number in range(size)] * REPLICAS
            gateways[size] = bench.gateway(
                stack, binary, Path(directory) / str(size), options.driver, GATEWAY_CORE, *statics
            )
        cases = {
            f"{asked} of {size}": case(*gateways[size], asked, options.seconds)
            for asked in (FEW, SOME)
            for size in (asked, options.functions)
        }
        results = bench.interleaved(cases, options.rounds)
    about = bench.machine() | {
        "nginx": bench.version(["nginx", "-v"]),
        "wrk": bench.version(["wrk", "-v"]),
    }
    bench.write(Path(__file__).parent, about, results, table(results, options))


if __name__ == "__main__":
    main()
