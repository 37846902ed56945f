"""A little reverse proxy, as nginx or a host's router stands before the service."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ONE_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "host", "content-length"})
ADDED = "X-Forwarded-For"


class Passing(BaseHTTPRequestHandler):
    """Passes each request on, and says behind what was said before from whom it came, how and to what name."""

    protocol_version = "HTTP/1.1"
    service_port, scheme = 0, "http"

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        sent = {name: value for name, value in self.headers.items() if name.lower() not in ONE_HOP}
        said = [value for name, value in sent.items() if name.lower() == ADDED.lower()]
        sent = {name: value for name, value in sent.items() if not name.lower().startswith("x-forwarded-")}
        sent |= {ADDED: ", ".join([*said, self.client_address[0]]), "X-Forwarded-Proto": self.scheme}
        sent |= {"X-Forwarded-Host": self.headers["Host"], "Content-Length": str(len(body))}
        service = http.client.HTTPConnection("127.0.0.1", self.service_port, timeout=60)
        service.request(self.command, self.path, body, sent)
        answer = service.getresponse()
        told = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ONE_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)
        service.close()

    do_GET = do_POST = do_DELETE = _pass_on  # noqa: N815  (the library's names)

    def log_message(self, *_: object) -> None:
        """Nothing: a test's output is its own."""


@contextmanager
def proxied(service_port: int, scheme: str = "http") -> Iterator[int]:
    """The port of a proxy before a service on this machine. [scheme: by which it is called from outside]"""
    handler = type("Handler", (Passing,), {"service_port": service_port, "scheme": scheme})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
