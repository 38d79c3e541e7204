"""The proxies that stand beside each other, and the replica behind them: how each is started so that
all do the same work.

For a call to /function/tcp/ or /function/unix/ each takes the prefix away, asks the replica over a
connection that it keeps, writes X-Forwarded-For, -Host and -Proto, X-Call-Id and X-Start-Time into
the request and the last two into the answer as well. None writes an access log.
"""

import contextlib
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import NamedTuple

import bench

DRIVERS = ("ring", "monoio-uring", "epoll")
GATEWAYS = tuple(f"ringway {driver}" for driver in DRIVERS)
ALL = ("nginx", "haproxy", "pingora", *GATEWAYS)
# nginx with larger buffers: another contestant where bodies are large.
TUNED_NGINX = "nginx 32k"
REPLICAS = ("tcp", "unix")

PINGORA = Path(__file__).resolve().parents[1] / "proxy/peers/pingora"

NGINX_FRAME = """
worker_processes {threads}; daemon off; pid {dir}/{name}.pid; error_log {dir}/{name}.log crit;
worker_rlimit_nofile 20000;
events {{ worker_connections 16384; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 3600;
  client_body_temp_path {dir}/{name}-a; proxy_temp_path {dir}/{name}-b; fastcgi_temp_path {dir}/{name}-c;
  uwsgi_temp_path {dir}/{name}-d; scgi_temp_path {dir}/{name}-e;
  {body}
}}
"""

REPLICA = """
  sendfile on; tcp_nopush on; open_file_cache max=16 inactive=1h;
  server {{
    listen 127.0.0.1:{tcp} backlog=4096; listen unix:{dir}/replica.sock backlog=4096;
    location = / {{ return 200 "hello world\\n"; }}
    location = /added {{ return 200 "{added}"; }}
    location / {{ root {dir}/bodies; }}
  }}
"""

# What each proxy writes into a request, in the words of the replica.
ADDED = ("forwarded_for", "forwarded_host", "forwarded_proto", "call_id", "start_time")

# Bodies pass through memory: a temporary file would be a handicap that no operator would leave in.
# Buffers are as they come; LARGE_BUFFERS are those that an operator with large bodies would choose
# (of 32 and 64 KiB, more and fewer, and none, these took the least CPU).
LARGE_BUFFERS = "proxy_buffers 8 32k; proxy_busy_buffers_size 128k;"
NGINX = """
  upstream tcp {{ server 127.0.0.1:{tcp}; keepalive 512; keepalive_requests 1000000000; }}
  upstream unix {{ server unix:{unix}; keepalive 512; keepalive_requests 1000000000; }}
  proxy_max_temp_file_size 0; {buffers}
  server {{
    listen 127.0.0.1:{port} backlog=4096 reuseport;
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
"""

HAPROXY = """
global
  nbthread {threads}
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h
  http-reuse always
frontend calls
  bind 127.0.0.1:{port} backlog 4096
  http-request set-var(txn.id) uuid()
  http-request set-var(txn.start) date(0,us)
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Call-Id %[var(txn.id)]
  http-request set-header X-Start-Time %[var(txn.start)]
  http-response set-header X-Call-Id %[var(txn.id)]
  http-response set-header X-Start-Time %[var(txn.start)]
  option forwardfor
  use_backend tcp if {{ path_beg /function/tcp/ }}
  use_backend unix if {{ path_beg /function/unix/ }}
backend tcp
  http-request set-header Host tcp
  http-request replace-path /function/tcp(/.*) \\1
  server replica 127.0.0.1:{tcp}
backend unix
  http-request set-header Host unix
  http-request replace-path /function/unix(/.*) \\1
  server replica unix@{unix}
"""


class Replica(NamedTuple):
    """Where the replica listens."""

    tcp: int
    unix: str


class Contestant(NamedTuple):
    """A proxy that runs: the processes that work for it, and its port."""

    pids: list
    port: int

    def url(self, replica, path=""):
        """Where a call to a kind of replica goes."""
        return f"http://127.0.0.1:{self.port}/function/{replica}/{path}"

    def cpu_ns(self):
        """CPU time that it has used, all threads."""
        return bench.cpu_ns(*self.pids)


class Stage:
    """Starts contestants one after the other; ends them all when its stack is closed."""

    def __init__(self, directory, stack, binary):
        self.directory, self.stack, self.binary = Path(directory), stack, binary
        self.started = 0
        # nginx's workers are another user's, and must reach the replica's socket and files.
        self.directory.chmod(0o755)

    def replica(self, core, sizes=()):
        """Starts the replica: one nginx worker that answers 12 bytes at `/` and N bytes at `/N`."""
        bodies = self.directory / "bodies"
        bodies.mkdir()
        for size in sizes:
            (bodies / str(size)).write_bytes(b"x" * size)
        tcp = bench.free_port()
        added = "".join(f"<$http_x_{field}>" for field in ADDED)
        body = REPLICA.format(dir=self.directory, tcp=tcp, added=added)
        self.replica_end = contextlib.ExitStack()
        self.stack.enter_context(self.replica_end)
        self._nginx("replica", body, core, 1, tcp, self.replica_end)
        self.behind = Replica(tcp, f"{self.directory}/replica.sock")

    def end_replica(self):
        """Ends the replica, for another to take its port."""
        self.replica_end.close()

    def start(self, name, core, threads=1):
        """Starts the contestant `name` with so many threads on a core (None: on all of them)."""
        self.started += 1
        kind = name.split()[0]
        contestant = getattr(self, f"_start_{kind}")(name, core, threads)
        for replica in REPLICAS:
            check(name, contestant.url(replica, "added"))
        return contestant

    def _start_ringway(self, name, core, threads):
        driver = name.split()[1]
        state = self.directory / f"state-{self.started}"
        statics = f"tcp=http://127.0.0.1:{self.behind.tcp}", f"unix=unix:{self.behind.unix}"
        pid, port = bench.gateway(self.stack, self.binary, state, driver, core, *statics, threads=threads)
        return Contestant([pid], port)

    def _start_nginx(self, name, core, threads):
        port, buffers = bench.free_port(), LARGE_BUFFERS if name == TUNED_NGINX else ""
        body = NGINX.format(tcp=self.behind.tcp, unix=self.behind.unix, port=port, buffers=buffers)
        return Contestant(self._nginx(f"nginx-{self.started}", body, core, threads, port), port)

    def _nginx(self, name, body, core, threads, port, stack=None):
        config = self.directory / f"{name}.conf"
        config.write_text(NGINX_FRAME.format(dir=self.directory, name=name, threads=threads, body=body))
        master = self.run(["nginx", "-c", config], core, port, stack)
        return bench.wait_for(lambda: bench.children(master), threads)

    def _start_haproxy(self, _name, core, threads):
        port = bench.free_port()
        config = self.directory / f"haproxy-{self.started}.cfg"
        values = {"tcp": self.behind.tcp, "unix": self.behind.unix, "port": port, "threads": threads}
        config.write_text(HAPROXY.format(**values))
        return Contestant([self.run(["haproxy", "-db", "-f", config], core, port)], port)

    def _start_pingora(self, _name, core, threads):
        port = bench.free_port()
        binary = bench.release_binary("pingora-peer", "pingora-peer", PINGORA)
        replicas = f"127.0.0.1:{self.behind.tcp}", self.behind.unix
        return Contestant([self.run([binary, port, threads, *replicas], core, port)], port)

    def run(self, command, core, port, stack=None):
        """Starts a program on a core, waits until it listens, and returns its pid."""
        quiet = {"stdout": bench.QUIET, "stderr": bench.QUIET}
        process = (stack or self.stack).enter_context(bench.running(command, core, **quiet))
        bench.wait_for_port(port)
        return process.pid


def check(name, url):
    """Ends unless the proxy adds what all add, in both directions."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        came, body = answer.headers, answer.read().decode()
    if "<>" in body or body.count("<") != len(ADDED):
        sys.exit(f"{name} does not add all fields to a request: {body}")
    if not (came["X-Call-Id"] and came["X-Start-Time"]):
        sys.exit(f"{name} does not add all fields to an answer: {came}")


@contextlib.contextmanager
def stage(binary):
    """A stage in a directory of its own, for the length of a `with`."""
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        yield Stage(directory, stack, binary)


def closed_loop(contestant, url, connections, seconds, load_core):
    """A function that measures a contestant once under a load that waits for each answer."""

    def measure():
        before = contestant.cpu_ns()
        result = bench.wrk(url, connections, seconds, load_core)
        used = contestant.cpu_ns() - before
        if result["errors"]:
            sys.exit(f"{url}: {result['errors']} requests failed; the figures would mean nothing")
        return {"cpu_us": used / 1000 / result["requests"], **result}

    return measure


def parsed(parser, default):
    """The options, with two that all comparisons have: who takes part, and another gateway."""
    parser.add_argument("--contestants", default=",".join(default), help="names, with commas")
    parser.add_argument("--binary", type=Path, help="a gateway that is built already")
    options = parser.parse_args()
    options.contestants = options.contestants.split(",")
    if "nginx" not in options.contestants:
        parser.error("nginx is always a contestant")
    return options


def versions(names):
    """What the peers among `names` say about themselves."""
    asked = {"nginx": ["nginx", "-v"], "haproxy": ["haproxy", "-v"]}
    found = {name: bench.version(asked[name]) for name in names if name in asked}
    if "pingora" in names:
        lock = (PINGORA / "Cargo.lock").read_text()
        found["pingora"] = lock.split('name = "pingora-proxy"\nversion = "')[1].split('"')[0]
    return found


def needed(names):
    """The programs that `names` need beside the gateway."""
    return ["nginx", "taskset", *(["haproxy"] if "haproxy" in names else []),
            *(["cmake"] if "pingora" in names else [])]
