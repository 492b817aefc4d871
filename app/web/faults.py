"""Every fault leaves as the same small JSON: code, what to say, what to do next, and the request's id."""

from __future__ import annotations

import logging

from apiflask import APIFlask, HTTPError
from flask import Flask, Response, g, jsonify
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from app.errors import AppError

log = logging.getLogger(__name__)

_BY_STATUS = {
    400: "request_malformed",
    404: "not_found",
    405: "method_not_allowed",
    413: "request_too_large",
    415: "request_type_unsupported",
    422: "request_invalid",
}


def render(fault: AppError) -> tuple[Response, int]:
    """The JSON of a fault and its status."""
    body = {
        "code": fault.code,
        "say": fault.say,
        "next": fault.next,
        "request_id": g.get("request_id", "-"),
    }
    answer = jsonify(body)
    if "after_seconds" in fault.facts:
        answer.headers["Retry-After"] = str(fault.facts["after_seconds"])
    return answer, fault.status


def install(app: Flask) -> None:
    """Catch everything: ours as it is, the framework's by its status, the rest as a logged 500."""

    @app.errorhandler(AppError)
    def _ours(fault: AppError) -> tuple[Response, int]:
        return render(fault)

    @app.errorhandler(ValidationError)
    def _invalid(_fault: ValidationError) -> tuple[Response, int]:
        return render(AppError("request_invalid"))

    @app.errorhandler(HTTPException)
    def _http(fault: HTTPException) -> tuple[Response, int] | HTTPException:
        if fault.code is not None and fault.code < 400:
            return fault  # a redirect is no fault
        return _by_status(fault.code or 500)

    @app.errorhandler(Exception)
    def _unexpected(fault: Exception) -> tuple[Response, int]:
        log.error("unexpected fault", exc_info=fault)
        return render(AppError("internal_error"))

    if isinstance(app, APIFlask):

        @app.error_processor
        def _apiflask(fault: HTTPError) -> tuple[Response, int]:
            return _by_status(fault.status_code)


def _by_status(status: int) -> tuple[Response, int]:
    code = _BY_STATUS.get(status)
    if code is None:
        code = "internal_error" if status >= 500 else "request_malformed"
    body, _status = render(AppError(code))
    return body, status
