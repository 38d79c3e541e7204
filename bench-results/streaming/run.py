#!/usr/bin/env python3
"""How long an event takes from the function that writes it to the client that waits for it.

`events.c` is both ends: the function writes an event every few milliseconds, stamped with the time,
and the client compares. The proxy under test has a core to itself, both ends share the other one.
`direct` is the same without a proxy: what the kernel and the two ends cost. nginx does not buffer
(`proxy_buffering off`).

    python3 bench-results/streaming/run.py [--rounds 5] [--events 1000] [--interval-us 2000]
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import bench  # noqa: E402
import contestants  # noqa: E402

PROXY_CORE, ENDS_CORE = 0, 1
STREAMS = (1, 16)

NGINX = """
worker_processes 1; daemon off; pid {dir}/nginx.pid; error_log {dir}/nginx.log crit;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {dir}/a; proxy_temp_path {dir}/b; fastcgi_temp_path {dir}/c;
  uwsgi_temp_path {dir}/d; scgi_temp_path {dir}/e;
  upstream function {{ server 127.0.0.1:{function}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port};
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    location /function/f/ {{ proxy_pass http://function/; }}
  }}
}}
"""


def case(events, port, path, streams, options):
    """A function that reads so many streams to their ends once."""
    command = ["taskset", "-c", str(ENDS_CORE), events, "read", str(port), path, str(streams)]

    def measure():
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        count, p50, p99, longest = done.stdout.split()
        if int(count) != streams * options.events:
            sys.exit(f"{count} events came, not {streams * options.events}")
        return {"events": int(count), "p50_us": float(p50), "p99_us": float(p99), "max_us": float(longest)}

    return measure


def table(results, options):
    """The figures for people."""
    lines = [
        "# Latency of an event, from the write in the function to the read in the client",
        "",
        f"Medians of {options.rounds} rounds in shuffled order, {options.events} events a stream, "
        f"one every {options.interval_us} µs.",
        "",
        "| streams | through | p50 µs | p99 µs | ± | longest µs |",
        "|---|---|---|---|---|---|",
    ]
    for streams in STREAMS:
        for through in ("direct", "nginx", *contestants.GATEWAYS):
            rounds = results[f"{through} {streams}"]
            lines.append(
                f"| {streams} | {through} | {bench.median(rounds, 'p50_us'):.0f} "
                f"| {bench.median(rounds, 'p99_us'):.0f} | {bench.spread(rounds, 'p99_us'):.0%} "
                f"| {bench.median(rounds, 'max_us'):.0f} |"
            )
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--interval-us", type=int, default=2000)
    options = parser.parse_args()
    bench.need("nginx", "cc", "taskset")
    binary = bench.release_binary("ringway", "ringway")

    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        events = Path(directory) / "events"
        subprocess.run(["cc", "-O2", "-o", events, HERE / "events.c"], check=True)
        function = bench.free_port()
        serve = [events, "serve", function, options.events, options.interval_us]
        stack.enter_context(bench.running(serve, ENDS_CORE))
        ports = {"direct": function, "nginx": bench.free_port()}
        config = Path(directory) / "nginx.conf"
        config.write_text(NGINX.format(dir=directory, function=function, port=ports["nginx"]))
        stack.enter_context(bench.running(["nginx", "-c", config], PROXY_CORE))
        for driver in contestants.DRIVERS:
            _, ports[f"ringway {driver}"] = bench.gateway(
                stack, binary, Path(directory) / driver, driver, PROXY_CORE, f"f=http://127.0.0.1:{function}"
            )
        for port in ports.values():
            bench.wait_for_port(port)
        time.sleep(0.2)
        cases = {
            f"{through} {streams}": case(events, port, "/function/f/", streams, options)
            for through, port in ports.items()
            for streams in STREAMS
        }
        results = bench.interleaved(cases, options.rounds)
    about = bench.machine() | {"nginx": bench.version(["nginx", "-v"])}
    bench.write(HERE, about, results, table(results, options))


if __name__ == "__main__":
    main()
