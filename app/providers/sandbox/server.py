"""Serve a sandbox on a socket: in a thread (tests), or as a process of its own."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from app.providers.sandbox.application import Sandbox


class QuietHandler(WSGIRequestHandler):
    """Writes no request lines: their query strings carry the app secret and access tokens."""

    def log(self, type: str, message: str, *args: Any) -> None:
        """Only errors are worth a line here."""
        if type == "error":
            super().log(type, message, *args)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        return


class SandboxServer:
    """A threaded HTTP server. Use as a context manager, or call `serve` and `close` yourself."""

    def __init__(self, sandbox: Sandbox, host: str = "127.0.0.1", port: int = 0) -> None:
        """Port 0 takes a free one. OSError when the port is taken."""
        self.sandbox = sandbox
        # Bound here, because make_server ends the whole process when the port is taken.
        with socket.create_server((host, port), backlog=128) as listener:
            self.base_url = f"http://{host}:{listener.getsockname()[1]}"
            self._server: BaseWSGIServer = make_server(
                host,
                port,
                sandbox.app,
                threaded=True,
                request_handler=QuietHandler,
                fd=listener.fileno(),
            )
        self._thread: threading.Thread | None = None

    def serve(self) -> None:
        """Serve until `close` is called from another thread."""
        self._server.serve_forever(poll_interval=0.05)

    def __enter__(self) -> SandboxServer:
        self._thread = threading.Thread(target=self.serve, name="sandbox-server", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving and delivering, free the port. Idempotent."""
        self._server.shutdown()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._server.server_close()
        self.sandbox.close()
