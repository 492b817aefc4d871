"""The adapters under test, talking HTTP to a sandbox on a real socket; one fake clock for both sides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.domain.clock import FakeClock
from app.providers.card_system_gateway import CardSystemGateway
from app.providers.wechat import WeChatApi
from app.providers.wechat_face import WeChatFace
from app.providers.wechat_pay import WeChatPayV3
from tests.providers.adapters import gateway_config, pay_config, wechat_config
from tests.providers.fault_server import FaultServer
from tests.sandbox_server import Sandbox, running_sandbox


@dataclass
class Inbox:
    """Where notices arrive. `statuses` are answered in turn; when they are used up, 204."""

    received: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    statuses: list[int | None] = field(default_factory=list)

    def post(self, url: str, headers: dict[str, str], body: bytes) -> int | None:
        self.received.append((url, headers, body))
        return self.statuses.pop(0) if self.statuses else 204


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def sandbox(tmp_path: Path, clock: FakeClock, inbox: Inbox) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path / "sandbox", clock=clock, post=inbox.post) as running:
        yield running


@pytest.fixture
def pay(sandbox: Sandbox, clock: FakeClock) -> Iterator[WeChatPayV3]:
    adapter = WeChatPayV3(pay_config(sandbox.base_url, sandbox.keys), clock)
    yield adapter
    adapter.close_connections()


@pytest.fixture
def standby(sandbox: Sandbox, clock: FakeClock) -> Iterator[WeChatPayV3]:
    """The second merchant number, bound to the same app."""
    keys = sandbox.keys
    adapter = WeChatPayV3(pay_config(sandbox.base_url, keys, keys.standby), clock)
    yield adapter
    adapter.close_connections()


@pytest.fixture
def wechat(sandbox: Sandbox, clock: FakeClock) -> Iterator[WeChatApi]:
    adapter = WeChatApi(wechat_config(sandbox.base_url, sandbox.keys), clock)
    yield adapter
    adapter.close_connections()


@pytest.fixture
def face(wechat: WeChatApi) -> WeChatFace:
    return WeChatFace(wechat.wire)


@pytest.fixture
def amy(sandbox: Sandbox) -> str:
    """A person's openid."""
    return sandbox.openid("amy")


@pytest.fixture
def cards(sandbox: Sandbox, clock: FakeClock) -> Iterator[CardSystemGateway]:
    adapter = CardSystemGateway(gateway_config(sandbox.base_url, sandbox.keys), clock)
    yield adapter
    adapter.close_connections()


@pytest.fixture
def fault_server() -> Iterator[FaultServer]:
    """A server that reads one request a connection and then misbehaves as told."""
    with FaultServer() as server:
        yield server
