#!/usr/bin/env python3
"""What a call costs in each mode of the watchdog, beside the least that the kernel takes for it.

The floors are `floor.c`: posix_spawn with two pipes and a wait, the same with a process that is started
already, and a pipe to a process that stays. For http and static mode nginx stands beside: as a
proxy to the same server, and with the same file. Sections: one call after the other (`client.c`), all
on one core, since a core that sleeps between two calls wakes up late in a virtual machine; 16 callers
of those whose processes stay, wrk on the other core; 64 callers of those that start a process for each
call, on both cores.

    python3 bench-results/watchdog/run.py [--rounds 5] [--seconds 2]
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import bench  # noqa: E402
import chart  # noqa: E402
import contestants  # noqa: E402
import modes  # noqa: E402

SERVER_CORE, LOAD_CORE = 0, 1
FEW, MANY = 16, 64
PLACES = (1, 10, 25, 50, 75, 90, 95, 99, 99.9)
# What a call through the watchdog has in its environment, for the loop as well: exec copies it.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "TMPDIR": "/tmp", "fprocess": "/bin/cat", "suppress_lock": "true",
               "Http_Host": "bench", "Http_Method": "POST", "Http_Path": "/", "Http_ContentLength": "16",
               "Http_Content_Length": "16", "Http_Content_Type": "text/plain"}


def figures(words):
    """Percentiles as they are printed by both programs, under their names."""
    percentiles = dict(zip([*range(1, 100), 99.9], map(float, words)))
    return {f"p{place}_us": percentiles[place] for place in PLACES}


def floor(program, kind, command, calls, threads=1, core=SERVER_CORE):
    """A function that measures a floor once."""
    pinned = [] if core is None else ["taskset", "-c", core]
    command = list(map(str, [*pinned, program, kind, command, calls, threads]))

    def measure():
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT)
        per_second, cpu, *rest = done.stdout.split()
        return {"per_second": float(per_second), "cpu_us": float(cpu), **figures(rest)}

    return measure


def with_children_us(pid):
    """CPU time of a process and of those that it has waited for, in µs (proc(5), fields 14 to 17)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(field) for field in fields[11:15]) * 1e6 / os.sysconf("SC_CLK_TCK")


def one_by_one(client, server, options):
    """A function that measures a server once, with one call after the other."""
    command = ["taskset", "-c", SERVER_CORE, client, server.port, options.seconds, server.method, server.pause_us]

    def measure():
        before = cpu_us(server)
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
        used = [after - was for after, was in zip(cpu_us(server), before)]
        count, bad, per_second, *rest = done.stdout.split()
        if int(bad):
            sys.exit(f"{server}: {bad} of {count} calls failed; the figures would mean nothing")
        each = {"cpu_us": used[0] / int(count), "own_cpu_us": used[1] / int(count)}
        return {"per_second": float(per_second), **each, **figures(rest)}

    return measure


def cpu_us(server):
    """CPU time of a server and all that it starts, and of itself alone, in µs."""
    own = bench.cpu_ns(*server.pids) / 1000
    kept = bench.cpu_ns(*server.kept()) / 1000
    return (with_children_us(server.pids[0]) if server.starts else own + kept), own


def at_once(server, callers, core, options):
    """A function that measures a server once, with several callers at once on a core."""
    script = HERE / "post.lua" if server.method == "POST" else None

    def measure():
        before = cpu_us(server)
        result = bench.wrk(f"http://127.0.0.1:{server.port}/", callers, options.seconds, core, script)
        used = [after - was for after, was in zip(cpu_us(server), before)]
        if result["errors"]:
            sys.exit(f"{result['errors']} calls failed; the figures would mean nothing")
        return {"cpu_us": used[0] / result["requests"], "own_cpu_us": used[1] / result["requests"], **result}

    return measure


def table(results, floors, idle):
    """One call after the other: the figures for people."""
    lines = [
        "| | CPU µs/call | ± | of it the watchdog | p50 µs | ± | p99 µs | floor | CPU × floor | p50 × floor | idle KiB |",
        "|" + "---|" * 11,
    ]
    for name, rounds in results.items():
        base = results[floors[name]] if name in floors else None
        ratio = lambda key: f"{bench.median(rounds, key) / bench.median(base, key):.2f}" if base else ""  # noqa: E731
        own = f"{bench.median(rounds, 'own_cpu_us'):.1f}" if "own_cpu_us" in rounds[0] else ""
        lines.append(
            f"| {name} | {bench.median(rounds, 'cpu_us'):.1f} | {bench.spread(rounds, 'cpu_us'):.0%} | {own} "
            f"| {bench.median(rounds, 'p50_us'):.1f} | {bench.spread(rounds, 'p50_us'):.0%} "
            f"| {bench.median(rounds, 'p99_us'):.1f} | {floors.get(name, '')} | {ratio('cpu_us')} | {ratio('p50_us')} "
            f"| {idle.get(name, '')} |"
        )
    return "\n".join(lines) + "\n"


def crowd_table(results, base):
    """Several callers: the figures for people."""
    lines = [f"| | calls/s | ± | × {base} | CPU µs/call | ± | p50 µs | p99 µs | p99/p50 |", "|" + "---|" * 9]
    floor = bench.median(results[base], "per_second")
    for name, rounds in results.items():
        of = lambda key: bench.median(rounds, key)  # noqa: B023, E731
        lines.append(
            f"| {name} | {of('per_second'):,.0f} | {bench.spread(rounds, 'per_second'):.0%} "
            f"| {of('per_second') / floor:.2f} | {of('cpu_us'):.1f} | {bench.spread(rounds, 'cpu_us'):.0%} "
            f"| {of('p50_us'):,.0f} | {of('p99_us'):,.0f} | {of('p99_us') / of('p50_us'):.1f} |"
        )
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="of each measurement")
    parser.add_argument("--calls", type=int, default=2000, help="of a floor in a round")
    parser.add_argument("--binary", type=Path, help="a watchdog that is built already")
    options = parser.parse_args()
    bench.need("cc", "wrk", "taskset", "nginx")
    binary = options.binary or bench.release_binary("watchdog", "fwatchdog")
    run = bench.Run(HERE)
    with contestants.stage(binary) as stage:
        programs = modes.compiled(stage.directory, HERE)
        alone(stage, programs, options, run)
    with contestants.stage(binary) as stage:
        programs = modes.compiled(stage.directory, HERE)
        staying(stage, programs, options, run)
    with contestants.stage(binary) as stage:
        programs = modes.compiled(stage.directory, HERE)
        together(stage, programs, options, run)
    about = bench.machine() | {"wrk": bench.version(["wrk", "-v"])}
    peers = {"nginx": ["nginx", "-v"], "node": ["node", "--version"], "python": ["python3", "--version"]}
    about |= {name: bench.version(command) for name, command in peers.items() if shutil.which(command[0])}
    run.write(about | {"rounds": f"{options.rounds} of {options.seconds} s"})


def alone(stage, programs, options, run):
    """One call after the other, in every mode."""
    servers = modes.start_all(stage, programs, SERVER_CORE)
    idle = {name: bench.rss_kib(server.pids[0]) for name, server in servers.items()}
    cases = {
        modes.SPAWN: floor(programs["floor"], "spawn", "/bin/cat", options.calls),
        modes.READY: floor(programs["floor"], "ready", "/bin/cat", options.calls // 2),
        modes.STAYS: floor(programs["floor"], "worker", "/bin/cat", options.calls * 10),
    }
    cases |= {name: one_by_one(programs["client"], server, options) for name, server in servers.items()}
    results = bench.interleaved(cases, options.rounds)
    run.add_table(
        "One call after the other: CPU and time of a call",
        "All on one core. 16 bytes there and back (static: 16 bytes back). CPU is the server's and that of the processes "
        "behind it, where they do not serve HTTP themselves; nginx's and http mode's is the proxy's alone. Processes that "
        f"are started before their call have {modes.PAUSE_US} µs between two calls for it; their CPU includes the start.",
        table(results, modes.floors(servers), idle),
    )
    series = {
        name: [bench.extent(rounds, f"p{place}_us") for place in PLACES] for name, rounds in results.items()
    }
    title = "Time of a call, one after the other: percentiles"
    run.add_chart("percentiles", chart.lines(title, "percentile", PLACES, "µs", series, is_log=True))
    run.add_results("one_by_one", {(name,): rounds for name, rounds in results.items()})


def staying(stage, programs, options, run):
    """A few callers at once, for the modes whose processes stay."""
    servers = modes.start_all(stage, programs, SERVER_CORE)
    cases = {name: at_once(servers[name], FEW, LOAD_CORE, options) for name in modes.STAYING if name in servers}
    results = bench.interleaved(cases, options.rounds)
    run.add_table(
        f"{FEW} callers at once, processes that stay",
        "The server and what is behind it on one core, wrk on the other. One worker each.",
        crowd_table(results, "nginx as a proxy"),
    )
    run.add_results("few", {(name,): rounds for name, rounds in results.items()})


def together(stage, programs, options, run):
    """Many callers at once, for the modes that start a process for each call."""
    servers = modes.start_all(stage, programs, None, modes.PROCESSES)
    base = "posix_spawn loop, two threads"
    cases = {base: floor(programs["floor"], "spawn", "/bin/cat", options.calls * 2, 2, None)}
    cases |= {name: at_once(server, MANY, None, options) for name, server in servers.items()}
    results = bench.interleaved(cases, options.rounds)
    run.add_table(
        f"{MANY} callers at once, a process for each call",
        "Nobody is bound to a core; wrk shares both with the watchdog.",
        crowd_table(results, base),
    )
    run.add_results("many", {(name,): rounds for name, rounds in results.items()})


if __name__ == "__main__":
    main()
