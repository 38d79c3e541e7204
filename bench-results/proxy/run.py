#!/usr/bin/env python3
"""CPU per proxied request of the gateway, beside nginx doing the same work.

One nginx worker as the replica and wrk share a core; the proxy under test has the other one to
itself. The proxies take turns in shuffled order, so that drift of the machine hits all alike. nginx
adds the same headers in both directions and keeps its upstream connections.

    python3 bench-results/proxy/run.py [--rounds 5] [--seconds 5] [--connections 64]
"""

import argparse
import contextlib
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import bench  # noqa: E402

PROXY_CORE, LOAD_CORE = 0, 1

REPLICA = """
worker_processes 1; daemon off; pid {dir}/replica.pid; error_log {dir}/replica.log crit;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path {dir}/a; proxy_temp_path {dir}/b; fastcgi_temp_path {dir}/c;
  uwsgi_temp_path {dir}/d; scgi_temp_path {dir}/e;
  server {{
    listen 127.0.0.1:{tcp}; listen unix:{dir}/replica.sock;
    location / {{ return 200 "hello world\\n"; }}
  }}
}}
"""

NGINX = """
worker_processes 1; daemon off; pid {dir}/nginx.pid; error_log {dir}/nginx.log crit;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path {dir}/f; proxy_temp_path {dir}/g; fastcgi_temp_path {dir}/h;
  uwsgi_temp_path {dir}/i; scgi_temp_path {dir}/j;
  upstream tcp {{ server 127.0.0.1:{tcp}; keepalive 512; keepalive_requests 1000000000; }}
  upstream unix {{ server unix:{dir}/replica.sock; keepalive 512; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port};
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Host $host;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Call-Id $request_id;
    proxy_set_header X-Start-Time $msec;
    add_header X-Call-Id $request_id;
    add_header X-Start-Time $msec;
    location /function/tcp/ {{ proxy_pass http://tcp/; }}
    location /function/unix/ {{ proxy_pass http://unix/; }}
  }}
}}
"""


def nginx(directory, name, text, core, stack, port):
    """Starts an nginx and returns the pid of its one worker."""
    config = Path(directory) / f"{name}.conf"
    config.write_text(text)
    process = stack.enter_context(bench.running(["nginx", "-c", config], core))
    bench.wait_for_port(port)
    return bench.children(process.pid)[0]


def case(pid, port, replica, options):
    """A function that measures one proxy with one kind of replica once."""

    def measure():
        url = f"http://127.0.0.1:{port}/function/{replica}/"
        before = bench.cpu_ns(pid)
        result = bench.wrk(url, options.connections, options.seconds, LOAD_CORE)
        used = bench.cpu_ns(pid) - before
        if result["errors"]:
            sys.exit(f"{url}: {result['errors']} requests failed; the figures would mean nothing")
        return {"cpu_us": used / 1000 / result["requests"], **result}

    return measure


def table(results, options):
    """The figures for people."""
    lines = [
        f"# CPU per proxied request, {options.connections} keep-alive connections, one core",
        "",
        f"Median of {options.rounds} rounds of {options.seconds} s, in shuffled order; "
        "the ratio is to nginx with the same kind of replica in the same run.",
        "",
        "| replica | proxy | CPU µs/request | ± | ratio | requests/s | p50 µs | p99 µs |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for replica in ("tcp", "unix"):
        floor = bench.median(results[f"nginx {replica}"], "cpu_us")
        for proxy in ("nginx", "ringway ring", "ringway epoll"):
            rounds = results[f"{proxy} {replica}"]
            cpu = bench.median(rounds, "cpu_us")
            lines.append(
                f"| {replica} | {proxy} | {cpu:.2f} | {bench.spread(rounds, 'cpu_us'):.0%} "
                f"| {cpu / floor:.2f} | {bench.median(rounds, 'per_second'):,.0f} "
                f"| {bench.median(rounds, 'p50_us'):.0f} | {bench.median(rounds, 'p99_us'):.0f} |"
            )
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()
    bench.need("nginx", "wrk", "taskset")
    binary = bench.release_binary("ringway", "ringway")

    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        # nginx's workers are another user's, and must reach the replica's socket.
        Path(directory).chmod(0o755)
        tcp, port = bench.free_port(), bench.free_port()
        nginx(directory, "replica", REPLICA.format(dir=directory, tcp=tcp), LOAD_CORE, stack, tcp)
        worker = nginx(
            directory, "nginx", NGINX.format(dir=directory, tcp=tcp, port=port), PROXY_CORE, stack, port
        )
        proxies = {"nginx": (worker, port)}
        for driver in ("ring", "epoll"):
            proxies[f"ringway {driver}"] = bench.gateway(
                stack, binary, Path(directory) / driver, driver, PROXY_CORE,
                f"tcp=http://127.0.0.1:{tcp}", f"unix=unix:{directory}/replica.sock",
            )
        cases = {
            f"{name} {replica}": case(pid, at, replica, options)
            for name, (pid, at) in proxies.items()
            for replica in ("tcp", "unix")
        }
        time.sleep(0.2)
        results = bench.interleaved(cases, options.rounds)
    about = bench.machine() | {
        "nginx": bench.version(["nginx", "-v"]),
        "wrk": bench.version(["wrk", "-v"]),
    }
    bench.write(Path(__file__).parent, about, results, table(results, options))


if __name__ == "__main__":
    main()
