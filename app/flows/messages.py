"""One message in WeChat, once: it takes one of the accepts a person gave for its template."""

from __future__ import annotations

from app.flows.deps import Deps
from app.flows.trouble import quarantine
from app.flows.verdicts import Done, Later, Verdict
from app.ports import Message, Refused, Unavailable, Unknown
from app.store import notices, outbox

QUOTA_USED_UP = "43101"  # not accepted in WeChat, or all that was accepted is sent (notes/wechat.md 3)


def send_once(deps: Deps, work_id: str, template: str, message: Message, about: str) -> Verdict:
    """Send `message` for the outbox row `work_id`. `template` is our name for it, `about` names it to an
    operator. Without an answer it is not sent again: twice frightens more than never."""
    now, openid = deps.clock.now(), message.openid
    with deps.database.write() as tx:
        if not outbox.start_once(tx, work_id):
            return Done("unknown")
        if not notices.use_subscription(tx, openid, template, now):
            return Done("not_subscribed")
    try:
        deps.messages.send(message)
    except Refused as no:
        with deps.database.write() as tx:
            if no.code == QUOTA_USED_UP:
                notices.drop_subscription(tx, openid, template, now)
            else:  # our template, page or field is wrong: the person's consent is not used up
                notices.add_subscription(tx, openid, template, now)
                quarantine(tx, "message_refused", no.code, about, now)
        return Done(f"refused:{no.code}")
    except Unavailable as not_sent:
        with deps.database.write() as tx:
            outbox.start_over(tx, work_id)
            notices.add_subscription(tx, openid, template, now)
        return Later(not_sent.code)
    except Unknown:
        return Done("unknown")
    return Done("sent")
