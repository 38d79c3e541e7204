"""What every measurement here shares: CPU time of a process, interleaved rounds, medians, and the
record of the machine. Standard library only.

Ratios within one run are the result; absolute figures drift with the machine.
"""

import contextlib
import datetime
import functools
import json
import os
import platform
import random
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
QUIET = subprocess.DEVNULL


def need(*programs):
    """Ends with a sentence when a program is missing."""
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        sys.exit(f"missing: {', '.join(missing)} (Debian: apt-get install {' '.join(missing)})")


def release_binary(package, name, workspace=ROOT):
    """Builds a release binary of this tree and returns its path, as Cargo tells it. A workspace beside the
    product's is built below the product's target directory, so that the tree stays clean."""
    command = ["cargo", "build", "--release", "-p", package, "--bin", name, "--message-format=json"]
    if workspace != ROOT:
        command += ["--locked", "--manifest-path", workspace / "Cargo.toml", "--target-dir", ROOT / "target/peers"]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == name:
            return Path(message["executable"])
    sys.exit(f"cargo has built no {name}")


def cpu_ns(*pids):
    """CPU time that all threads of these processes have used, those that have ended as well, in
    nanoseconds: the process's CPU clock (clock_getcpuclockid(3), CPUCLOCK_SCHED)."""
    return sum(time.clock_gettime_ns((~pid << 3) | 2) for pid in pids)


def rss_kib(pid):
    """Resident set of a process in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def wait_for(processes, count, seconds=20):
    """Waits until `processes()` lists so many, and returns them."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = processes()
        if len(found) == count:
            return found
        time.sleep(0.02)
    sys.exit(f"not {count} processes after {seconds} s")


def children(pid):
    """Direct children of a process."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def free_port():
    """A TCP port of the loopback address that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port, seconds=20):
    """Waits until somebody accepts connections at the port."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    sys.exit(f"nothing listens on port {port} after {seconds} s")


@contextlib.contextmanager
def running(command, core=None, **options):
    """Runs a server for the length of a `with`, on one core if asked."""
    if core is not None:
        command = ["taskset", "-c", str(core), *command]
    process = subprocess.Popen([str(part) for part in command], **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def gateway(stack, binary, state_dir, driver, core, *statics, threads=1):
    """Starts a gateway on a core (None: on all of them) and returns its pid and port. Each of
    `statics` is NAME=URL."""
    port = free_port()
    command = [
        binary, "up", "--listen", f"127.0.0.1:{port}", "--threads", threads, "--driver", driver,
        "--state-dir", state_dir,
    ]
    for static in statics:
        command += ["--static", static]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = stack.enter_context(running(command, core, **quiet))
    wait_for_port(port)
    return process.pid, port


def wrk(url, connections, seconds, core=None, script=None):
    """Closed-loop load by wrk on one thread; requests, requests per second and latencies in µs."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    if script:
        command += ["-s", str(script)]
    command.append(url)
    if core is not None:
        command = ["taskset", "-c", str(core), *command]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    requests = int(re.search(r"(\d+) requests in", text).group(1))
    errors = sum(int(n) for n in re.findall(r"(?:connect|read|write|timeout) (\d+)", text))
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    units = {"us": 1, "ms": 1e3, "s": 1e6}
    quantile = {
        q: float(value) * units[unit]
        for q, value, unit in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)", text)
    }
    return {
        "requests": requests,
        "per_second": float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1)),
        "errors": errors + (int(bad.group(1)) if bad else 0),
        "p50_us": quantile["50"],
        "p99_us": quantile["99"],
    }


def interleaved(cases, rounds, seed=1):
    """Runs every case once per round, in an order shuffled anew for each round.

    `cases` maps a name to a function that measures once and returns a dict of numbers.
    """
    order = random.Random(seed)
    results = {name: [] for name in cases}
    for number in range(rounds):
        names = list(cases)
        order.shuffle(names)
        for name in names:
            results[name].append(cases[name]())
            print(f"round {number + 1}/{rounds} {name}: {results[name][-1]}", file=sys.stderr)
    return results


def median(results, key):
    """Median of one figure over the rounds."""
    return statistics.median(result[key] for result in results)


def spread(results, key):
    """Half the range of one figure, as a share of its median."""
    values = [result[key] for result in results]
    middle = statistics.median(values)
    return (max(values) - min(values)) / 2 / middle if middle else 0.0


def extent(results, key):
    """Lowest, middle and highest of one figure over the rounds."""
    values = [result[key] for result in results]
    return min(values), statistics.median(values), max(values)


def quartiles(results, key):
    """First quartile, middle and third quartile of one figure: for figures with a long tail."""
    values = [result[key] for result in results]
    return tuple(statistics.quantiles(values, n=4, method="inclusive")) if len(values) > 1 else (values[0],) * 3


def shares(results, against, key):
    """The same of one figure as a share of another's, round by round."""
    values = [result[key] / other[key] for result, other in zip(results, against)]
    return min(values), statistics.median(values), max(values)


def raise_file_limit():
    """As many descriptors as the machine allows, for this program and what it starts."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def machine():
    """What the figures were measured on."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    return {
        "date": datetime.date.today().isoformat(),
        "kernel": platform.release(),
        "cpu": model,
        "cores": os.cpu_count(),
        "commit": commit,
        "command": " ".join(["python3", *sys.argv]),
    }


def version(command):
    """First line of what a program prints about its version."""
    done = subprocess.run(command, capture_output=True, text=True)
    return (done.stdout + done.stderr).strip().splitlines()[0]


def new_folder(folder, date, part=""):
    """`folder/runs/DATE`, with the part and a number behind it where needed: no run overwrites another."""
    name = "-".join(filter(None, [date, part]))
    for ending in ("", *(f"-{number}" for number in range(2, 1000))):
        target = Path(folder) / "runs" / (name + ending)
        if not target.exists():
            target.mkdir(parents=True)
            return target
    sys.exit(f"{folder} has too many runs of {date}")


def write(folder, about, results, table):
    """Writes raw figures and the table to a new folder."""
    target = new_folder(folder, about["date"])
    (target / "raw.json").write_text(json.dumps({"about": about, "results": results}, indent=1) + "\n")
    facts = "\n".join(f"- {key}: {value}" for key, value in about.items())
    (target / "README.md").write_text(f"{table}\n{facts}\n")
    print(table)


def cost_table(keys, rows, more=None):
    """Figures for people. `rows` maps the values of `keys` to the rounds and to those that the ratios
    are to; `more` names further columns and their figures."""
    more = more or {}
    heads = [*keys, "CPU µs/request", "±", "ratio", "requests/s", "p50 µs", "p99 µs", "±", *more]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for values, (rounds, floor) in rows.items():
        of = functools.partial(median, rounds)
        cells = [
            *map(str, values), f"{of('cpu_us'):.2f}", f"{spread(rounds, 'cpu_us'):.0%}",
            f"{of('cpu_us') / median(floor, 'cpu_us'):.2f}", f"{of('per_second'):,.0f}",
            f"{of('p50_us'):,.0f}", f"{of('p99_us'):,.0f}", f"{spread(rounds, 'p99_us'):.0%}",
            *(f"{of(figure):.2f}" if 0 < of(figure) < 10 else f"{of(figure):,.0f}" for figure in more.values()),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


class Run:
    """What a run of several sections has to show: tables, charts, raw figures. It goes to a
    new folder, which names the part when only a part was measured."""

    def __init__(self, folder, part=""):
        self.folder, self.part = Path(folder), part
        self.text, self.charts, self.results = [], {}, {}
        self.target = None

    def add_table(self, title, note, table):
        """A table under its title, with a sentence on how it was measured."""
        self.text.append(f"## {title}\n\n{note}\n\n{table}")
        print(self.text[-1])

    def add_chart(self, name, svg):
        """A chart, shown below the table that was added last."""
        self.charts[name] = svg
        self.text.append(f"![{name}]({name}.svg)\n")

    def add_results(self, section, results):
        """Raw figures; a case is named by its parts."""
        self.results[section] = {" ".join(map(str, case)): rounds for case, rounds in results.items()}

    def write(self, about):
        """Writes all that there is so far, so that a section that fails takes no other with it."""
        if self.target is None:
            self.target = new_folder(self.folder, about["date"], self.part)
        raw = {"about": about, "results": self.results}
        (self.target / "raw.json").write_text(json.dumps(raw, indent=1) + "\n")
        for name, svg in self.charts.items():
            (self.target / f"{name}.svg").write_text(svg)
        head = (
            "Medians over the rounds, which ran in shuffled order; ± is half the range as a share of the median; "
            "a ratio is to nginx in the same row of conditions unless another is named.\n"
        )
        facts = "".join(f"- {key}: {value}\n" for key, value in about.items())
        (self.target / "README.md").write_text("\n".join([head, *self.text, facts]))
        print(f"written to {self.target}")
