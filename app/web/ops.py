"""For operators and for the page: is it alive, is it ready, how is it doing, what is it."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest

from app.flows import protection_desk, readiness
from app.web import schemas
from app.web.edge import deps, public

bp = APIBlueprint("ops", __name__, tag="Operations")

WAITING = Gauge("anxin_outbox_waiting", "Unfinished outbox rows by topic", ["topic"])
ALARMS = Gauge("anxin_alarms_open", "Alarms nobody closed")
# Counted from the rows, so that every process tells the same.
QUESTIONS = Gauge(
    "anxin_questions", "Questions before a payment in the last 30 days, by verdict", ["kind", "verdict"]
)


@bp.get("/healthz")
@bp.doc(summary="The process answers", security=[])
@public
def healthz() -> dict[str, str]:
    return {"status": "ok"}


@bp.get("/readyz")
@bp.doc(
    summary="Each part this service leans on, and whether it can work",
    responses={200: "Ready, be it by touch only", 503: "Not ready"},
    security=[],
)
@public
def readyz() -> tuple[dict[str, Any], int]:
    parts = readiness.parts(deps())
    lines = [{"name": part.name, "ok": part.ok, "detail": part.detail} for part in parts]
    ready = readiness.can_serve(parts)
    return {"ready": ready, "parts": lines}, 200 if ready else 503


@bp.get("/metrics")
@bp.doc(hide=True)
@public
def metrics() -> Response:
    waiting, alarms = readiness.backlog(deps())
    WAITING.clear()
    for topic, count in waiting.items():
        WAITING.labels(topic).set(count)
    ALARMS.set(alarms)
    QUESTIONS.clear()
    for kind, verdict, count in protection_desk.counts(deps()):
        QUESTIONS.labels(kind, verdict).set(count)
    return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)


@bp.get("/api/v1/about")
@bp.doc(summary="Which city, and whether sandboxes stand in for WeChat", security=[])
@bp.output(schemas.AboutOut)
@public
def about() -> dict[str, Any]:
    return {
        "sandbox": deps().settings.sandbox,
        "city": deps().city.label,
        "hotline": deps().city.hotline,
    }
