"""A loopback without sockets: an adapter's HTTP client talks to a WSGI application in this very thread.

Everything above the socket stays what it is: our clients sign, send, verify and parse as always, the sandbox
authenticates and answers as always. A broken connection (AnswerLost) breaks here too.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import requests
from requests.adapters import BaseAdapter
from urllib3.exceptions import ProtocolError
from urllib3.response import HTTPResponse

from app.flows.deps import Deps
from app.providers.http import HttpClient

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class _Socket:
    """Stands where werkzeug puts the client's socket: the sandbox shuts it to lose an answer."""

    broken = False

    def shutdown(self, _how: int) -> None:
        self.broken = True


class InProcess(BaseAdapter):
    """A transport of `requests` that calls `application`."""

    def __init__(self, application: Application) -> None:
        super().__init__()
        self._application = application

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        wire = _Socket()
        status, headers, body = _called(self._application, request, wire)
        if wire.broken:
            raise requests.ConnectionError(ProtocolError("Connection aborted."))
        response = requests.Response()
        response.status_code = status
        response.headers.update(headers)
        response.raw = HTTPResponse(io.BytesIO(body), headers, status, preload_content=False)
        return response

    def close(self) -> None:
        """Nothing is open."""


def _called(
    application: Application, request: requests.PreparedRequest, wire: _Socket
) -> tuple[int, list[tuple[str, str]], bytes]:
    address = urlsplit(str(request.url))
    body = request.body or b""
    raw = body.encode() if isinstance(body, str) else bytes(body)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(address.path, "latin-1"),
        "QUERY_STRING": address.query,
        "REQUEST_URI": address.path + (f"?{address.query}" if address.query else ""),
        "SERVER_NAME": address.hostname,
        "SERVER_PORT": str(address.port or 80),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(raw)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": address.scheme,
        "wsgi.input": io.BytesIO(raw),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "werkzeug.socket": wire,
    }
    for name, value in request.headers.items():
        key = name.upper().replace("-", "_")
        environ["CONTENT_TYPE" if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    told: list[Any] = []

    def start(status: str, headers: list[tuple[str, str]], _fault: Any = None) -> None:
        told[:] = [int(status.split()[0]), headers]

    pieces = application(environ, start)
    try:
        answer = b"".join(pieces)
    finally:
        getattr(pieces, "close", lambda: None)()
    return told[0], told[1], answer


def connect(deps: Deps, base_url: str, application: Application) -> None:
    """From now on every adapter of `deps` reaches `base_url` without a socket."""
    for client in _clients(deps):
        client._session.mount(base_url, InProcess(application))


def _clients(deps: Deps) -> list[HttpClient]:
    """The one reach into the adapters: which HTTP client each of them holds."""
    wires = [getattr(pay, "_wire") for pay in deps.pays.values()]  # noqa: B009 - private on purpose
    gateways = [
        getattr(each, "_gateway")  # noqa: B009
        for each in (deps.card_system, deps.texts, deps.bank_cards)
    ]
    shared = getattr(deps.login, "wire")  # noqa: B009 - everything asked of WeChat's API goes over it
    return [getattr(holder, "_http") for holder in (*wires, *gateways, shared)]  # noqa: B009
