"""Runs handler.py as a worker of Ringway (see docs/worker-protocol.md).

    mode=worker fprocess='python3 worker.py'

One request at a time comes on standard input and is answered on standard output, both in the form
of HTTP/1.1. `handle` gets a Request and returns a Response, or its body alone: str, bytes, None, or
anything else, which is sent as JSON. What it raises is told to the client with status 500 and to the
log; the worker goes on. What it prints goes to the log.
"""

import json
import os
import sys
import traceback

# The protocol keeps the two pipes for itself: print() and input() must not get between.
source = os.fdopen(os.dup(0), "rb")
sink = os.fdopen(os.dup(1), "wb")
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
os.dup2(2, 1)


class Request:
    """What was asked. The names of headers are in lower case."""
    def __init__(self, method: str, target: str, headers: dict, body: bytes):
        self.method, self.headers, self.body = method, headers, body
        self.path, _, self.query = target.partition("?")

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self):
        return json.loads(self.body)


class Response:
    """What is answered."""
    def __init__(self, body=b"", status: int = 200, headers: dict | None = None):
        self.body, self.status, self.headers = body, status, dict(headers or {})


def read_request() -> Request | None:
    """The next request; none when there will be no more."""
    line = source.readline().decode("iso-8859-1").split()
    if len(line) != 3:
        return None
    headers: dict[str, str] = {}
    while (raw := source.readline()) != b"\r\n":
        if not raw:
            return None
        name, _, value = raw.decode("iso-8859-1").partition(":")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    length = int(headers["content-length"])
    body = source.read(length)
    return Request(line[0], line[1], headers, body) if len(body) == length else None


def encode(request: Request, answer) -> bytes:
    """The answer as it goes out."""
    response = answer if isinstance(answer, Response) else Response(answer)
    if response.status not in range(200, 600):
        raise ValueError(f"{response.status} is no status from 200 to 599")
    body, kind = b"" if response.body is None else response.body, "application/octet-stream"
    if isinstance(body, str):
        body, kind = body.encode(), "text/plain; charset=utf-8"
    elif not isinstance(body, (bytes, bytearray)):
        body, kind = json.dumps(body).encode(), "application/json"
    if not any(name.lower() == "content-type" for name in response.headers):
        response.headers["Content-Type"] = kind
    lines = [f"HTTP/1.1 {response.status} -", f"Content-Length: {len(body)}"]
    for name, value in response.headers.items():
        lines += [f"{name}: {one}" for one in (value if isinstance(value, list) else [value])]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header has a line break in it")
    head = "\r\n".join(lines) + "\r\n\r\n"
    has_body = request.method != "HEAD" and response.status not in (204, 304)
    return head.encode("iso-8859-1") + (body if has_body else b"")


def main() -> None:
    # So that `from worker import Response` means this file, and not a second copy of it.
    sys.modules["worker"] = sys.modules[__name__]
    from handler import handle

    while request := read_request():
        try:
            out = encode(request, handle(request))
        except Exception as error:
            traceback.print_exc()
            out = encode(request, Response(f"{type(error).__name__}: {error}\n", 500))
        sys.stdout.flush()
        sink.write(out)
        sink.flush()


if __name__ == "__main__":
    main()
