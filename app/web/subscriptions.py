"""Messages a person agreed to receive."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from app.flows import subscribe
from app.web import schemas
from app.web.edge import actor, deps

bp = APIBlueprint("subscriptions", __name__, url_prefix="/api/v1", tag="Messages")


@bp.get("/subscriptions")
@bp.doc(summary="Which templates to ask for")
@bp.output(schemas.TemplatesOut)
def list_templates() -> dict[str, Any]:
    return {"templates": [{"name": name, "template_id": known} for name, known in subscribe.offered(deps())]}


@bp.post("/subscriptions")
@bp.doc(summary="The person accepted these templates", responses={204: "Counted"})
@bp.input(schemas.SubscriptionsIn, location="json", arg_name="told")
def accept(told: schemas.SubscriptionsIn) -> tuple[str, int]:
    subscribe.accept(deps(), actor(), told.accepted)
    return "", 204
