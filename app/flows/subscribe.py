"""Messages a person agreed to: each accept in WeChat is one message."""

from __future__ import annotations

from collections.abc import Sequence

from app.flows.deps import Deps
from app.flows.tell import RECEIPT
from app.store import notices
from app.store.people import Actor

TEMPLATES = (RECEIPT,)


def accept(deps: Deps, actor: Actor, names: Sequence[str]) -> None:
    """Count the accepted templates; unknown names are ignored, because WeChat may report old ones."""
    with deps.database.write() as tx:
        for name in sorted(set(names) & set(TEMPLATES)):
            notices.add_subscription(tx, actor.openid, name, deps.clock.now())
