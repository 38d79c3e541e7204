#!/usr/bin/env python3
"""CPU and time per forked request of the watchdog, beside a bare posix_spawn loop in C.

Both run `cat` once per request, one request after the other, on one core; wrk sits on the other.
The floor is `floor.c`: two pipes, posix_spawn, write, read, wait, and nothing else. The watchdog's
figure holds all of HTTP and of the process it starts (its own CPU time and its children's).

    python3 bench-results/fork/run.py [--rounds 5] [--seconds 5] [--program /bin/cat]
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import bench  # noqa: E402
import contestants  # noqa: E402

SERVER_CORE, LOAD_CORE = 0, 1


def floor(binary, options):
    """Measures the bare loop once."""

    def measure():
        command = ["taskset", "-c", str(SERVER_CORE), binary, options.program, str(options.requests)]
        wall, cpu = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        return {"cpu_us": float(cpu), "p50_us": float(wall), "p99_us": 0.0, "per_second": 1e6 / float(wall)}

    return measure


def with_children_us(pid):
    """CPU time of a process and of those that it has waited for, in µs (proc(5), fields 14 to 17)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    ticks = sum(int(field) for field in fields[11:15])
    return ticks * 1e6 / os.sysconf("SC_CLK_TCK")


def watchdog(pid, url, options):
    """Measures a watchdog once, with one connection."""

    def measure():
        before = with_children_us(pid)
        result = bench.wrk(url, 1, options.seconds, LOAD_CORE, HERE / "post.lua")
        used = with_children_us(pid) - before
        if result["errors"]:
            sys.exit(f"{result['errors']} requests failed; the figures would mean nothing")
        return {"cpu_us": used / result["requests"], **result}

    return measure


def start(binary, options, stack, **environment):
    """Starts a watchdog; gives its pid and URL."""
    port = bench.free_port()
    environment = {"PATH": "/usr/bin:/bin", "fprocess": options.program, "port": str(port), **environment}
    process = stack.enter_context(
        bench.running([binary], SERVER_CORE, env=environment, stderr=subprocess.DEVNULL)
    )
    bench.wait_for_port(port)
    return process.pid, f"http://127.0.0.1:{port}/"


def table(results, idle, options):
    """The figures for people."""
    lines = [
        f"# A process per request: `{options.program}`, one request after the other, one core",
        "",
        f"Median of {options.rounds} rounds, in shuffled order; the ratio is to the bare loop in the same run. "
        "The loop's p50 is its mean.",
        "",
        "| | CPU µs/request | ± | ratio | p50 µs | p99 µs | requests/s |",
        "|---|---|---|---|---|---|---|",
    ]
    base = bench.median(results["posix_spawn loop"], "cpu_us")
    for name, rounds in results.items():
        cpu = bench.median(rounds, "cpu_us")
        lines.append(
            f"| {name} | {cpu:.0f} | {bench.spread(rounds, 'cpu_us'):.0%} | {cpu / base:.2f} "
            f"| {bench.median(rounds, 'p50_us'):.0f} | {bench.median(rounds, 'p99_us'):.0f} "
            f"| {bench.median(rounds, 'per_second'):,.0f} |"
        )
    lines += ["", "Resident when idle: " + ", ".join(f"{name} {kib} KiB" for name, kib in idle.items()) + "."]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--requests", type=int, default=3000, help="of the bare loop in a round")
    parser.add_argument("--program", default="/bin/cat")
    options = parser.parse_args()
    bench.need("cc", "wrk", "taskset")
    binary = bench.release_binary("watchdog", "fwatchdog")

    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        loop = Path(directory) / "floor"
        subprocess.run(["cc", "-O2", "-o", loop, HERE / "floor.c"], check=True)
        common = {"suppress_lock": "true", "exec_timeout": "0", "TMPDIR": directory}
        cases, idle = {"posix_spawn loop": floor(loop, options)}, {}
        for driver in contestants.DRIVERS:
            name = f"fwatchdog {driver}"
            pid, url = start(binary, options, stack, RINGWAY_DRIVER=driver, **common)
            cases[name] = watchdog(pid, url, options)
            idle[name] = bench.rss_kib(pid)
        results = bench.interleaved(cases, options.rounds)
    about = bench.machine() | {"wrk": bench.version(["wrk", "-v"])}
    bench.write(HERE, about | {"idle_rss_kib": idle}, results, table(results, idle, options))


if __name__ == "__main__":
    main()
