#!/usr/bin/env python3
"""What a proxied request costs at the gateway, beside others that do the same work.

nginx, HAProxy and a proxy on pingora (peers/pingora) stand beside the gateway under each of its
drivers (lib/contestants.py says what all of them do). One nginx worker as the replica and the load
share a core; the proxy under test has the other one to itself. In each round the contestants take
turns in shuffled order, so that drift of the machine hits all alike.

Sections: small (bodies of 12 bytes, TCP and Unix-socket replicas, four numbers of connections), bodies
(64 KiB and 1 MiB), threads (one and two), latency (open loop, at half of nginx's highest rate).

    python3 bench-results/proxy/run.py [--only small,bodies] [--rounds 5] [--seconds 2]
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lib")]
import bench  # noqa: E402
import contestants  # noqa: E402
import sections  # noqa: E402


def parsed():
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="of each measurement")
    parser.add_argument("--only", default=",".join(sections.ALL), help="sections, with commas")
    options = contestants.parsed(parser, contestants.ALL)
    options.only = options.only.split(",")
    if set(options.only) - set(sections.ALL):
        parser.error(f"sections are {', '.join(sections.ALL)}")
    return options


def main():
    options = parsed()
    bench.need("wrk", "cc", *contestants.needed(options.contestants))
    bench.raise_file_limit()
    binary = options.binary or bench.release_binary("ringway", "ringway")
    about = bench.machine() | contestants.versions(options.contestants)
    about["wrk"] = bench.version(["wrk", "-v"])
    about["rounds"] = f"{options.rounds} of {options.seconds} s"
    run = bench.Run(HERE, "" if options.only == list(sections.ALL) else "+".join(options.only))
    for name in options.only:
        print(f"== {name}", file=sys.stderr)
        with contestants.stage(binary) as stage:
            sections.ALL[name](stage, options, run)
        run.write(about)


if __name__ == "__main__":
    main()
