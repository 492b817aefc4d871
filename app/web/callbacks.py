"""WeChat's notices. Verified over the raw bytes, then exactly one flow; the answer is quick and small."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify, request

from app.domain.orders import PRIMARY
from app.errors import AppError
from app.flows import settle
from app.web import schemas
from app.web.edge import deps, public

_REFUSED = {
    "description": "Not verified",
    "content": {"application/json": {"schema": schemas.WechatRefusalOut.model_json_schema()}},
}
_ANSWERS: Any = {204: "Taken", 401: _REFUSED}

bp = APIBlueprint("callbacks", __name__, url_prefix="/api/v1/callbacks", tag="Callbacks")


@bp.post("/wechat-pay")
@bp.post("/wechat-pay/<channel>", endpoint="wechat_pay_channel")
@bp.doc(
    summary="WeChat Pay v3 notices (payments and refunds)",
    description="Answers 204 once the notice is booked or quarantined, 401 when it is not WeChat's.",
    responses=_ANSWERS,
    security=[],
)
@public
def wechat_pay(channel: str = PRIMARY) -> tuple[Response | str, int]:
    body = request.get_data(cache=True)  # before anything parses it: the signature is over these bytes
    try:
        settle.notice(deps(), dict(request.headers), body, channel)
    except AppError as fault:
        return jsonify({"code": "FAIL", "message": fault.code}), fault.status
    return "", 204
