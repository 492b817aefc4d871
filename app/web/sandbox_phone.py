"""What a phone does, for browsers of a sandbox installation: log in, pay, subscribe, face, finger, SMS.

The requests go on to the sandbox WeChat over HTTP. In production this blueprint is not registered.
"""

from __future__ import annotations

import requests
from flask import Blueprint, Response, request

from app.errors import AppError
from app.web.edge import public

TIMEOUT_SECONDS = (2.0, 10.0)
ACTIONS = frozenset({"login", "pay", "subscribe", "facial-verify", "fingerprint", "texts"})


def blueprint(sandbox_url: str) -> Blueprint:
    """A blueprint that forwards /sandbox/phone/<action> to the sandbox at `sandbox_url`."""
    bp = Blueprint("sandbox_phone", __name__, url_prefix="/sandbox/phone")
    session = requests.Session()
    session.trust_env = False

    @bp.post("/<action>")
    @public
    def phone(action: str) -> Response:
        if action not in ACTIONS:
            raise AppError("not_found")
        try:
            answer = session.post(
                f"{sandbox_url}/phone/{action}",
                data=request.get_data(),
                headers={"Content-Type": "application/json"},
                timeout=TIMEOUT_SECONDS,
            )
        except requests.RequestException as fault:
            raise AppError("login_unavailable") from fault
        return Response(answer.content, answer.status_code, content_type="application/json")

    return bp
