#!/usr/bin/env python3
"""Why not tokio-uring: one small proxy on it and on tokio, beside the gateway and nginx.

The small proxy (proxy/) adds the same fields as the others and is the same code on both runtimes, so the
difference between its rows is what the runtime costs. It is no gateway: its head says what it leaves
out, and its rows are the least that a gateway on that runtime would cost. TCP replica, 12 bytes, the
proxy alone on its core.

    python3 bench-results/tokio-uring/run.py [--rounds 5] [--seconds 2]
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lib")]
import bench  # noqa: E402
import chart  # noqa: E402
import contestants  # noqa: E402

PROXY_CORE, LOAD_CORE = 0, 1
CONNECTIONS = (1, 8, 64, 256)
RUNTIMES = ("tokio", "tokio-uring", "tokio-uring-coop")


def small_proxy(stage, binary, runtime):
    """Starts the small proxy on a runtime."""
    port = bench.free_port()
    pid = stage.run([binary, runtime, port, f"127.0.0.1:{stage.behind.tcp}"], PROXY_CORE, port)
    contestant = contestants.Contestant([pid], port)
    contestants.check(runtime, contestant.url("tcp", "added"))
    return contestant


def measured(stage, names, options):
    """The rounds of each (name, connections)."""
    proxy = bench.release_binary("tokio-uring-proxy", "tokio-uring-proxy", HERE / "proxy")
    stage.replica(LOAD_CORE)
    started = {name: stage.start(name, PROXY_CORE) for name in names}
    started |= {f"small proxy, {runtime}": small_proxy(stage, proxy, runtime) for runtime in RUNTIMES}
    cases = {
        (name, connections): contestants.closed_loop(at, at.url("tcp"), connections, options.seconds, LOAD_CORE)
        for connections in CONNECTIONS
        for name, at in started.items()
    }
    return list(started), bench.interleaved(cases, options.rounds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="of each measurement")
    options = contestants.parsed(parser, ["nginx", *contestants.GATEWAYS])
    names = options.contestants
    bench.need("wrk", *contestants.needed(names))
    bench.raise_file_limit()
    binary = options.binary or bench.release_binary("ringway", "ringway")
    with contestants.stage(binary) as stage:
        shown, results = measured(stage, names, options)
    run = bench.Run(HERE)
    run.add_table(
        "tokio-uring for the same job: CPU per request",
        "TCP replica, 12 bytes, one thread on one core. The small proxy does less than the others and is the same "
        "code in each of its rows.",
        bench.cost_table(
            ("proxy", "connections"), {case: (results[case], results["nginx", case[1]]) for case in results}
        ),
    )
    series = {
        name: [bench.shares(results[name, at], results["nginx", at], "cpu_us") for at in CONNECTIONS]
        for name in shown
    }
    title = "CPU per request beside nginx"
    looks = contestants.ALL
    run.add_chart("ratio", chart.lines(title, "keep-alive connections", CONNECTIONS, "× nginx", series, looks))
    run.add_results("small", results)
    lock = (HERE / "proxy/Cargo.lock").read_text()
    about = bench.machine() | contestants.versions(names)
    about["tokio-uring"], about["tokio"] = (
        lock.split(f'name = "{name}"\nversion = "')[1].split('"')[0] for name in ("tokio-uring", "tokio")
    )
    run.write(about | {"rounds": f"{options.rounds} of {options.seconds} s"})


if __name__ == "__main__":
    main()
