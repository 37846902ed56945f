"""ASGI scope -> WSGI environment.

In:  the scope of a request, and its body as a file.
Out: the environment that gunicorn's own WSGI workers would make of it.
"""

import sys
from typing import Any, BinaryIO
from urllib.parse import unquote_to_bytes

WITHOUT_PREFIX = {b"content-type": "CONTENT_TYPE"}
# The length is that of the received body, also where it came in chunks.
FRAMING = frozenset({b"content-length", b"transfer-encoding"})
SCHEME_END = b"://"
CONSTANT = {
    "wsgi.version": (1, 0),
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    "wsgi.input_terminated": True,
}


def environ_of(scope: dict[str, Any], body: BinaryIO, n_bytes: int | None) -> dict[str, Any]:
    """The environment of a request. [n_bytes: of the body, None where it arrives in chunks while it is read]"""
    host, port = scope.get("server") or ("", 0)
    caller = scope.get("client") or ("", 0)
    prefix = scope.get("root_path", "")
    environ = CONSTANT | {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": prefix,
        "PATH_INFO": path_of(scope).removeprefix(prefix),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": str(host),
        "SERVER_PORT": str(port or 80),
        "REMOTE_ADDR": str(caller[0]),
        "REMOTE_PORT": str(caller[1]),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": body,
    }
    _add_headers(environ, scope["headers"])
    if n_bytes is not None:
        environ["CONTENT_LENGTH"] = str(n_bytes)
    return environ


def path_of(scope: dict[str, Any]) -> str:
    """The path, each of its bytes as a character."""
    raw = scope.get("raw_path") or scope["path"].encode()
    if not raw.startswith(b"/") and SCHEME_END in raw:  # GET http://host/path, as proxies are asked
        # Not urlsplit: it raises errors at hosts that are none, such as http://[/.
        raw = b"/" + raw.partition(SCHEME_END)[2].partition(b"/")[2]
    return unquote_to_bytes(raw).decode("latin-1")


def route_path(scope: dict[str, Any]) -> str:
    """The path by which a route is found."""
    path = scope["path"] if scope["path"].startswith("/") else path_of(scope)
    return path.removeprefix(scope.get("root_path", ""))


def _add_headers(environ: dict[str, Any], headers: list[tuple[bytes, bytes]]) -> None:
    for name, value in headers:
        if name in FRAMING:
            continue
        key = WITHOUT_PREFIX.get(name) or "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
