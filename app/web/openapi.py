"""The OpenAPI document at /api/openapi.json and its page at /api/docs, served from our own files."""

from __future__ import annotations

from typing import Any

from apiflask import APIFlask
from flask import Response, send_from_directory
from swagger_ui_bundle import swagger_ui_path  # type: ignore[import-untyped]

from app.web.edge import public

ASSETS = "/api/docs/assets"


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
    )
    app.security_schemes = {"session": {"type": "http", "scheme": "bearer"}}
    for endpoint in ("openapi.spec", "openapi.docs", "openapi.swagger_ui_oauth_redirect"):
        if endpoint in app.view_functions:
            public(app.view_functions[endpoint])

    @app.get(f"{ASSETS}/<path:name>")
    @app.doc(hide=True)
    @public
    def docs_asset(name: str) -> Response:
        return send_from_directory(swagger_ui_path, name, max_age=86_400)

    @app.spec_processor
    def _secure(spec: dict[Any, Any] | str) -> dict[Any, Any] | str:
        """Every operation needs the session unless it says otherwise (`security=[]`)."""
        assert isinstance(spec, dict), "the spec is JSON"
        spec["security"] = [{"session": []}]
        return spec
