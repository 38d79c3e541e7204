"""The watchdog in each of its modes, and the peers beside it: how each is started."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import bench

SPAWN, READY, STAYS = "posix_spawn loop", "ready process", "process that stays"
PAUSE_US = 2000
PROCESSES = ("fork", "fork, prefork=8", "serializing", "streaming")
TEMPLATES = bench.ROOT / "stack/templates"

# The function's own server for http mode: it answers 16 bytes.
FUNCTION = """
daemon off; pid {dir}/{name}.pid; error_log {dir}/{name}.log crit; user root;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 3600;
  client_body_temp_path {dir}/{name}-a; proxy_temp_path {dir}/{name}-b; fastcgi_temp_path {dir}/{name}-c;
  uwsgi_temp_path {dir}/{name}-d; scgi_temp_path {dir}/{name}-e;
  {body}
}}
"""
SERVER = "server {{ listen unix:{socket}; location / {{ return 200 'hello wide world'; }} }}"
PROXY = """
  upstream function {{ server unix:{socket}; keepalive 64; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://function; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
"""
FILES = "server {{ listen 127.0.0.1:{port}; location / {{ root {dir}/files; }} }}"


class Server(NamedTuple):
    """A watchdog or a peer that runs."""

    pids: list
    port: int
    # A process is started for each call.
    starts: bool = False
    # Processes that stay behind it belong to it.
    has_workers: bool = False
    method: str = "POST"
    # Between two calls, in µs: a shelf must have the time to be filled.
    pause_us: int = 0

    def kept(self):
        """The processes that stay behind it."""
        return bench.children(self.pids[0]) if self.has_workers else []


def compiled(directory, here):
    """The programs in C."""
    programs = {name: directory / name for name in ("floor", "client", "worker")}
    for name, program in programs.items():
        subprocess.run(["cc", "-O2", "-o", program, here / f"{name}.c", "-lpthread"], check=True)
    return programs


def start_all(stage, programs, core, names=None):
    """All modes whose programs are there, or those named."""
    (stage.directory / "files").mkdir()
    (stage.directory / "files/index.html").write_text("hello wide world")
    cat = {"fprocess": "/bin/cat"}
    worker = {"mode": "worker", "workers": "1"}
    wanted = {
        "fork": cat,
        "fork, prefork=8": cat | {"prefork": "8", "cgi_headers": "false"},
        "serializing": cat | {"mode": "serializing"},
        "streaming": cat | {"mode": "streaming"},
        "worker, C": worker | {"fprocess": str(programs["worker"])},
        "worker, Python": worker | {"fprocess": f"python3 {TEMPLATES}/python/worker.py"},
        "worker, Node": worker | {"fprocess": f"node {TEMPLATES}/node/worker.js"},
        "worker, Bash": worker | {"fprocess": f"bash {TEMPLATES}/bash/worker.sh"},
        "static": {"mode": "static", "static_path": f"{stage.directory}/files"},
    }
    servers = {}
    for name, settings in wanted.items():
        program = settings.get("fprocess", "cat").split()[0]
        if (names is None or name in names) and shutil.which(program):
            servers[name] = watchdog(stage, name, settings, core)
    if names is None:
        servers |= with_server(stage, core)
    return servers


def watchdog(stage, name, settings, core):
    """Starts a watchdog."""
    port = bench.free_port()
    environment = {"PATH": os.environ["PATH"], "port": str(port), "TMPDIR": str(stage.directory),
                   "suppress_lock": "true", "metrics_port": "0", "exec_timeout": "0", **settings}
    process = stage.stack.enter_context(
        bench.running([stage.binary], core, env=environment, stdout=bench.QUIET, stderr=bench.QUIET)
    )
    bench.wait_for_port(port)
    has_workers = settings.get("mode") == "worker"
    method = "GET" if settings.get("mode") == "static" else "POST"
    pause_us = PAUSE_US if "prefork" in settings else 0
    return Server([process.pid], port, name in PROCESSES, has_workers, method, pause_us)


def with_server(stage, core):
    """http mode, nginx before the same server, and nginx with the same file."""
    socket = stage.directory / "function.sock"
    config = nginx_config(stage.directory, "function", SERVER.format(socket=socket))
    settings = {"mode": "http", "http_upstream_url": f"unix:{socket}", "fprocess": f"nginx -c {config}"}
    servers = {"http": watchdog(stage, "http", settings, core)}
    bodies = {"nginx as a proxy": PROXY, "nginx with files": FILES}
    for number, (name, body) in enumerate(bodies.items()):
        port = bench.free_port()
        body = body.format(socket=socket, port=port, dir=stage.directory)
        config = nginx_config(stage.directory, f"nginx-{number}", body)
        master = stage.run(["nginx", "-c", config], core, port)
        workers = bench.wait_for(lambda master=master: bench.children(master), 1)
        servers[name] = Server(workers, port, method="GET" if body.count("root") else "POST")
    return servers


def nginx_config(directory, name, body):
    """Writes a configuration."""
    config = Path(directory) / f"{name}.conf"
    config.write_text(FUNCTION.format(dir=directory, name=name, body=body))
    return config


# Those whose processes stay: their cost is that of passing a call on.
STAYING = ("worker, C", "worker, Python", "worker, Node", "static", "http", "nginx as a proxy", "nginx with files")


def floors(servers):
    """What each is compared with."""
    processes = {name: SPAWN for name in PROCESSES} | {"fork, prefork=8": READY}
    workers = {name: STAYS for name in servers if name.startswith("worker")}
    return processes | workers | {"http": "nginx as a proxy", "static": "nginx with files"}
