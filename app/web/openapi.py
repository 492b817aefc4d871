"""The OpenAPI document at /api/openapi.json and its page at /api/docs, served from our own files."""

from __future__ import annotations

import re
from typing import Any

from apiflask import APIFlask
from flask import Response, send_from_directory
from swagger_ui_bundle import swagger_ui_path  # type: ignore[import-untyped]

from app.web import schemas
from app.web.edge import is_public, public

ASSETS = "/api/docs/assets"
_VARIABLE = re.compile(r"<(?:\w+:)?(\w+)>")


def install(app: APIFlask) -> None:
    """Describe the API; the page loads nothing from anywhere else."""
    app.config.update(
        SWAGGER_UI_CSS=f"{ASSETS}/swagger-ui.css",
        SWAGGER_UI_BUNDLE_JS=f"{ASSETS}/swagger-ui-bundle.js",
        SWAGGER_UI_STANDALONE_PRESET_JS=f"{ASSETS}/swagger-ui-standalone-preset.js",
        DOCS_FAVICON=f"{ASSETS}/favicon-32x32.png",
        INFO={
            "description": "Top-up of city cards by voice and touch. Every fault has `code`, `say` (spoken "
            "Chinese) and `next`. Amounts are integer fen, moments RFC 3339 UTC."
        },
        SECURITY_SCHEMES={"session": {"type": "http", "scheme": "bearer"}},
        AUTO_OPERATION_ID=True,
        AUTO_SERVERS=False,  # the address we are asked by says nothing about where we are served
        HTTP_ERROR_SCHEMA=schemas.ErrorOut.model_json_schema(),
        VALIDATION_ERROR_SCHEMA=schemas.ErrorOut.model_json_schema(),
    )
    for endpoint in ("openapi.spec", "openapi.docs"):
        public(app.view_functions[endpoint])

    @app.get(f"{ASSETS}/<path:name>")
    @app.doc(hide=True)
    @public
    def docs_asset(name: str) -> Response:
        return send_from_directory(swagger_ui_path, name, max_age=86_400)

    @app.spec_processor
    def _secure(spec: dict[Any, Any] | str) -> dict[Any, Any] | str:
        """Say of each operation what the edge around it does: ask for a session, refuse a body, be busy."""
        assert isinstance(spec, dict), "the spec is JSON"
        spec["security"] = [{"session": []}]
        for rule in app.url_map.iter_rules():
            path = spec["paths"].get(_VARIABLE.sub(r"{\1}", rule.rule), {})
            for method in rule.methods or ():
                operation = path.get(method.lower())
                if operation is None:
                    continue
                at_the_edge = {"503": "Too many at once: come again"}
                if "requestBody" in operation:
                    operation["requestBody"]["required"] = True
                    at_the_edge |= _OF_A_BODY
                if is_public(app, rule.endpoint):
                    operation["security"] = []
                else:
                    at_the_edge["401"] = "Log in (again)"
                for status, told in at_the_edge.items():
                    operation["responses"].setdefault(status, {"description": told, "content": _ERROR})
        return spec


_OF_A_BODY = {"400": "Malformed", "413": "Too large", "415": "Not what is taken here"}
_ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/HTTPError"}}}
