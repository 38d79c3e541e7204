"""The sections of the comparison: what is measured, and how it is told.

Each takes a stage, the options and the run, and adds its raw figures, tables and charts to the run.
"""

import subprocess
import sys
from pathlib import Path

import bench
import chart
import contestants

PROXY_CORE, LOAD_CORE = 0, 1
CONNECTIONS = (1, 8, 64, 256)
LATENCY_CONNECTIONS = (8, 64, 256)
# The usual number of connections, and one at which large bodies keep both cores busy.
SMALL_CONNECTIONS, BODY_CONNECTIONS = 64, 16
LATENCY_COLUMNS = {
    "lowest p99 µs": "p99_lowest_us", "p99.9 µs": "p999_us", "longest µs": "max_us", "unanswered": "unanswered",
    "load late, p99 µs": "late_p99_us",
}
LOOKS = (*contestants.ALL, contestants.TUNED_NGINX)
BODIES = {"64 KiB": 65536, "1 MiB": 1048576}


def small(stage, options, run):
    """Answers of 12 bytes: both kinds of replica, four numbers of connections."""
    stage.replica(LOAD_CORE)
    started = {name: stage.start(name, PROXY_CORE) for name in options.contestants}
    cases = {
        (name, replica, connections): contestants.closed_loop(
            at, at.url(replica), connections, options.seconds, LOAD_CORE
        )
        for name, at in started.items()
        for replica in contestants.REPLICAS
        for connections in CONNECTIONS
    }
    results = bench.interleaved(cases, options.rounds)
    for replica in contestants.REPLICAS:
        kind = "TCP" if replica == "tcp" else "Unix-socket"
        rows = {
            (name, connections): (results[name, replica, connections], results["nginx", replica, connections])
            for connections in CONNECTIONS
            for name in started
        }
        run.add_table(
            f"Small answers, {kind} replica: CPU per request",
            "12 bytes, one thread on one core.",
            bench.cost_table(("proxy", "connections"), rows),
        )
        charts_of_small(replica, kind, list(started), results, run)
    run.add_results("small", results)


def charts_of_small(replica, kind, names, results, run):
    """CPU per request over connections, in µs and as a share of nginx's in the same round."""
    of = {name: [results[name, replica, connections] for connections in CONNECTIONS] for name in names}
    series = {name: [bench.extent(rounds, "cpu_us") for rounds in of[name]] for name in names}
    x_title, y_title = "keep-alive connections", "CPU per request"
    title = f"{y_title}, {kind} replica"
    run.add_chart(f"small-{replica}", chart.lines(title, x_title, CONNECTIONS, "µs", series, LOOKS))
    series = {
        name: [bench.shares(rounds, floor, "cpu_us") for rounds, floor in zip(of[name], of["nginx"])]
        for name in names
    }
    picture = chart.lines(f"{title}, beside nginx", x_title, CONNECTIONS, "× nginx", series, LOOKS)
    run.add_chart(f"small-{replica}-ratio", picture)


def bodies(stage, options, run):
    """Answers of 64 KiB and 1 MiB from a TCP replica. nginx is there with larger buffers as well."""
    tuned = contestants.TUNED_NGINX
    stage.replica(LOAD_CORE, BODIES.values())
    started = {name: stage.start(name, PROXY_CORE) for name in [tuned, *options.contestants]}
    cases = {
        (name, label): contestants.closed_loop(at, at.url("tcp", size), BODY_CONNECTIONS, options.seconds, LOAD_CORE)
        for name, at in started.items()
        for label, size in BODIES.items()
    }
    results = bench.interleaved(cases, options.rounds)
    floors = {label: bench.median(results[tuned, label], "cpu_us") for label in BODIES}
    for (_, label), rounds in results.items():
        for figures in rounds:
            figures["cpu_ns_per_kib"] = figures["cpu_us"] * 1000 / (BODIES[label] / 1024)
            figures["of_tuned"] = figures["cpu_us"] / floors[label]
    rows = {
        (name, label): (results[name, label], results["nginx", label]) for label in BODIES for name in started
    }
    run.add_table(
        "Large answers: CPU per request and per KiB",
        f"TCP replica, {BODY_CONNECTIONS} connections, one thread on one core. `nginx` has the buffers that it comes "
        f"with, `{tuned}` larger ones (`{contestants.LARGE_BUFFERS}`).",
        bench.cost_table(("proxy", "body"), rows, {"CPU ns/KiB": "cpu_ns_per_kib", f"ratio to {tuned}": "of_tuned"}),
    )
    series = {
        name: [bench.extent(results[name, label], "cpu_ns_per_kib") for label in BODIES] for name in started
    }
    picture = chart.bars("CPU per KiB of an answer", "size of the answer", list(BODIES), "ns", series, LOOKS)
    run.add_chart("bodies", picture)
    run.add_results("bodies", results)


def threads(stage, options, run):
    """One thread and two, both free to run on either core, as is the load: what sharing costs."""
    names = [name for name in options.contestants if name == "nginx" or name in contestants.GATEWAYS]
    stage.replica(None)
    started = {(name, count): stage.start(name, None, count) for name in names for count in (1, 2)}
    cases = {
        case: contestants.closed_loop(at, at.url("tcp"), SMALL_CONNECTIONS, options.seconds, None)
        for case, at in started.items()
    }
    results = bench.interleaved(cases, options.rounds)
    rows = {case: (results[case], results[case[0], 1]) for case in cases}
    run.add_table(
        "One thread and two",
        f"TCP replica, 12 bytes, {SMALL_CONNECTIONS} connections; proxy, load and replica share both cores. "
        "The ratio is to the same proxy with one thread.",
        bench.cost_table(("proxy", "threads"), rows),
    )
    run.add_results("threads", results)


def highest_rate(contestant, connections, options):
    """Requests a second that a contestant answers when asked without pause (median of three)."""
    measure = contestants.closed_loop(contestant, contestant.url("tcp"), connections, options.seconds, LOAD_CORE)
    return bench.median([measure() for _ in range(3)], "per_second")


def open_loop(program, contestant, connections, rate, seconds, replica):
    """A function that measures a contestant once under a load that keeps to its schedule, and that is
    the replica as well, on that port."""
    numbers = [connections, rate, seconds, replica]
    command = ["taskset", "-c", LOAD_CORE, program, contestant.port, "/function/tcp/", *numbers]
    command = list(map(str, command))

    def measure():
        before = contestant.cpu_ns()
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        used = contestant.cpu_ns() - before
        answers, failures, unanswered, p50, p99, p999, longest, late = map(float, done.stdout.split())
        if failures:
            sys.exit(f"{failures:.0f} of {rate * seconds} requests failed; the figures would mean nothing")
        return {
            "cpu_us": used / 1000 / (rate * seconds), "per_second": rate, "answers": answers,
            "unanswered": unanswered, "p50_us": p50, "p99_us": p99, "p999_us": p999, "max_us": longest,
            "late_p99_us": late,
        }

    return measure


def latency(stage, options, run):
    """Latency from the intended time of sending, at half of nginx's highest rate."""
    names = [name for name in options.contestants if name == "nginx" or name in contestants.GATEWAYS]
    program = stage.directory / "paced"
    subprocess.run(["cc", "-O2", "-o", program, Path(__file__).with_name("paced.c")], check=True)
    stage.replica(LOAD_CORE)
    started = {name: stage.start(name, PROXY_CORE) for name in names}
    rates = {
        connections: round(highest_rate(started["nginx"], connections, options) / 2)
        for connections in LATENCY_CONNECTIONS
    }
    stage.end_replica()
    # Many short rounds: a machine that stands still for some milliseconds then spoils few of them.
    rounds, seconds = options.rounds * 2, max(1, options.seconds // 2)
    cases = {
        (name, connections): open_loop(program, at, connections, rates[connections], seconds, stage.behind.tcp)
        for name, at in started.items()
        for connections in LATENCY_CONNECTIONS
    }
    results = bench.interleaved(cases, rounds)
    for measured in results.values():
        lowest, _, _ = bench.extent(measured, "p99_us")
        for figures in measured:
            figures["p99_lowest_us"] = lowest
    rows = {
        (name, connections): (results[name, connections], results["nginx", connections])
        for connections in LATENCY_CONNECTIONS
        for name in names
    }
    run.add_table(
        "Latency at half of nginx's highest rate",
        f"TCP replica, 12 bytes, {rounds} rounds of {seconds} s; requests come on a fixed schedule and count from the "
        "time at which they were due (paced.c, which is the replica as well). A virtual machine whose host lets it "
        "wait adds to what is measured and takes nothing away: the lowest p99 of the rounds is the one with the "
        "least of that. The last column is the load's own lateness, which is in the latencies.",
        bench.cost_table(("proxy", "connections"), rows, LATENCY_COLUMNS),
    )
    series = {
        name: [bench.quartiles(results[name, connections], "p99_us") for connections in LATENCY_CONNECTIONS]
        for name in names
    }
    title = "p99 at half of nginx's highest rate, open loop (quartiles of the rounds)"
    run.add_chart("latency", chart.lines(title, "keep-alive connections", LATENCY_CONNECTIONS, "µs", series, LOOKS))
    run.add_results("latency", results)


ALL = {"small": small, "bodies": bodies, "threads": threads, "latency": latency}
