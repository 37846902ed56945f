"""An ASGI server that is none: the messages of a request are given, those of the answer are kept."""

import asyncio

from fairmeter.web.server.policies import SCORING, RoutePolicy

ORDINARY = RoutePolicy(SCORING)


class Request:
    """One request. [parts: of the body; ends: whether the last of them is the end; stays: whether the caller waits]"""

    def __init__(self, method="GET", path="/", parts=(b"",), ends=True, stays=True, query=b"", headers=()):
        self.scope = {
            "type": "http", "http_version": "1.1", "method": method, "path": path, "raw_path": path.encode(),
            "query_string": query, "root_path": "", "scheme": "http", "headers": list(headers),
            "client": ("10.0.0.9", 5000), "server": ("127.0.0.1", 9696),
        }  # fmt: skip
        last = len(parts) - 1
        self._parts = [
            {"type": "http.request", "body": p, "more_body": i < last or not ends} for i, p in enumerate(parts)
        ]
        self.stays, self.sent, self.n_received = stays, [], 0

    async def receive(self):
        if self._parts:
            self.n_received += 1
            return self._parts.pop(0)
        while self.stays:
            await asyncio.sleep(0.005)
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.sent.append(message)

    @property
    def status(self):
        return self.sent[0]["status"]

    @property
    def body(self):
        return b"".join(message["body"] for message in self.sent[1:])

    async def of(self, front):
        """The request after it was answered by a front."""
        await front(self.scope, self.receive, self.send)
        return self


class App:
    """A WSGI app that keeps the environments and answers by a function of them. [policy: of all its routes]"""

    def __init__(self, answer=lambda environ: [environ["wsgi.input"].read()], policy=ORDINARY):
        self._answer, self._policy, self.environs = answer, policy, []

    def policy_of(self, _method, _path):
        return self._policy

    def wsgi_app(self, environ, start_response):
        self.environs.append(environ)
        error = environ.get("fairmeter.refusal")
        start_response(f"{getattr(error, 'status', None) or getattr(error, 'code', 200)} .", [("X-Any", "1")])
        return [] if error else self._answer(environ)
