"""The H5 page: static files of the built mini-program, and the API's own documentation page."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, send_from_directory

from app.config import REPOSITORY
from app.web.edge import deps, public

bp = Blueprint("page", __name__)

BUILT = REPOSITORY / "miniprogram" / "dist" / "build" / "h5"
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self' {live}; "
    "style-src 'self' 'unsafe-inline'; script-src 'self'; object-src 'none'; base-uri 'self'; "
    "frame-ancestors 'none'"
)
_NOT_BUILT = "The page is not built (Node 20+ is needed: make page). The API works: /api/docs\n"


def built() -> bool:
    """Whether the page was built."""
    return (BUILT / "index.html").is_file()


@bp.get("/")
@public
def index() -> Response:
    if not built():
        return Response(_NOT_BUILT, status=404, content_type="text/plain; charset=utf-8")
    response = send_from_directory(BUILT, "index.html", max_age=0)
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY.format(
        live=deps().settings.live_url  # the streams of help sessions
    )
    return response


@bp.get("/assets/<path:name>")
@public
def asset(name: str) -> Response:
    return send_from_directory(BUILT / "assets", name, max_age=31_536_000)


@bp.get("/static/<path:name>")
@public
def static_file(name: str) -> Response:
    return send_from_directory(BUILT / "static", name, max_age=86_400)


def folder() -> Path:
    """Where the built page lies."""
    return BUILT
