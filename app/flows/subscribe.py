"""Messages a person agreed to: each accept in WeChat is one message."""

from __future__ import annotations

from collections.abc import Sequence

from app.flows.deps import Deps
from app.flows.family_messages import FAMILY
from app.flows.tell import RECEIPT
from app.flows.tell_device import DEVICE
from app.store import notices
from app.store.people import Actor

TEMPLATES = (RECEIPT, DEVICE, FAMILY)


def accept(deps: Deps, actor: Actor, names: Sequence[str]) -> None:
    """Count the accepted templates; unknown names are ignored, because WeChat may report old ones."""
    with deps.database.write() as tx:
        for name in sorted(set(names) & set(TEMPLATES)):
            notices.add_subscription(tx, actor.openid, name, deps.clock.now())


def offered(deps: Deps) -> list[tuple[str, str]]:
    """(our name, WeChat's template id) of what a person may be asked to accept."""
    wechat = deps.settings.wechat
    templates = (wechat.receipt_template, wechat.device_template, wechat.family_template)
    names = zip(TEMPLATES, templates, strict=True)
    return [(name, template_id) for name, template_id in names if template_id]
