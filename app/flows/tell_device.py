"""Telling a person that somebody logged in as them from a device they never used."""

from __future__ import annotations

from app.domain.clock import SHANGHAI
from app.flows.deps import Deps
from app.flows.messages import send_once
from app.flows.verdicts import Done, Verdict
from app.ports import Message
from app.store import devices, people
from app.voice import replies

DEVICE = "device"


def device_new(deps: Deps, device_id: str, work_id: str) -> Verdict:
    """One message, if the person accepted one; the list of their logins shows the device in any case."""
    template_id = deps.settings.wechat.device_template
    if not template_id:
        return Done("no_template")
    with deps.database.read() as tx:
        known = devices.owner(tx, device_id)
        openid = None if known is None else people.openid_in(tx, deps.settings.wechat.app_id, known[0])
    if known is None or openid is None:
        return Done("nobody_known")  # erased meanwhile
    message = Message(
        openid=openid,
        template_id=template_id,
        page="pages/index/index?show=sessions",
        data={
            "phrase1": replies.phrase("device_new"),
            "time2": f"{known[1].astimezone(SHANGHAI):%Y-%m-%d %H:%M}",
            "thing3": replies.phrase("device_new_hint"),
        },
    )
    verdict = send_once(deps, work_id, DEVICE, message, f"new device {device_id}")
    if isinstance(verdict, Done) and verdict.outcome == "sent":
        with deps.database.write() as tx:
            devices.told(tx, device_id, deps.clock.now())
    return verdict
