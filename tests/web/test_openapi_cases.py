"""Whatever our own OpenAPI document allows or forbids, sent to the real service: no 5xx, no surprise.

schemathesis makes the cases from /api/openapi.json: good ones, and ones that break the document in every
place it knows. What only the house can know (a session, an order of one's own, a code of WeChat's) is put
into good cases here, or none of them would come past the door.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from app.domain.clock import FakeClock
from app.providers.barcode import ZxingBarcodes
from app.providers.speech_pool import SpeechPool
from tests import proof
from tests.conftest import MORNING, database_url
from tests.providers.recordings import FIFTY_YUAN
from tests.providers.speech_models import korean_dir
from tests.world import GOOD_CARD, Phone, World, a_key, running_world

EACH = 55  # requests of each kind, good and bad, to each operation
AT_LEAST = 2_000
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    ignored_auth,
    unsupported_method,
]
_choices = itertools.cycle(["top_up", "amount:5000", "home", "history", "balance", "help"])


@pytest.fixture(scope="module")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """On SQLite, with a recogniser that listens for real; both databases know the shapes alike."""
    folder = tmp_path_factory.mktemp("world")
    pool = SpeechPool("vosk", korean_dir(), workers=1, queue_limit=4, timeout_seconds=30, vocabulary="")
    try:
        url = database_url(request, "sqlite", folder)
        with running_world(folder, url, FakeClock(MORNING), speech=pool) as found:
            yield found
            assert found.balanced()
            assert isinstance(found.deps.barcodes, ZxingBarcodes)
            found.deps.barcodes.close()
    finally:
        pool.close()


class Asker:
    """Somebody with a card and orders in every state, who asks in the name of the cases."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.asked: Counter[str] = Counter()
        self.answered: Counter[int] = Counter()
        self.phone = world.elder("whoever-asks")
        self.phone.agree()  # else a clip is not even looked at
        self.leaving = Phone(world.base_url, "whoever-leaves")
        self._orders = itertools.cycle([self._read_back, self._waiting, self._paid, self._arrived])

    def ask(self, case: Case) -> None:
        """Send one case and hold the answer against the document."""
        operation, who = case.operation.label, self.phone
        if operation in ("DELETE /api/v1/sessions/current", "PUT /api/v1/me/limits"):
            who = self.leaving.log_in()  # whoever lowers their limits to a fen is asked at every order
        elif case.meta is not None and case.meta.generation.mode.is_positive:
            self._make_it_real(case)
        answer = case.call_and_validate(headers={"Authorization": f"Bearer {who.token}"}, checks=CHECKS)
        self.asked[operation] += 1
        self.answered[answer.status_code] += 1

    def _make_it_real(self, case: Case) -> None:
        """Half of the good cases are about things that exist."""
        if self.asked[case.operation.label] % 2:
            return
        if "order_id" in case.path_parameters:
            order = next(self._orders)()
            case.path_parameters["order_id"] = order["id"]
            if isinstance(case.body, dict) and "read_back" in case.body:
                case.body["read_back"] = order["read_back"]
        elif case.operation.label == "POST /api/v1/orders":
            case.body |= {"card_id": self.phone.cards[0], "method": "wechat_balance", "client_key": a_key()}
        elif case.operation.label == "POST /api/v1/sessions":
            case.body["code"] = self.phone.ok("POST", "/sandbox/phone/login", {"person": "a-guest"})["code"]
        elif case.media_type == "application/json" and case.operation.label == "POST /api/v1/cards":
            case.body["card_number"] = f"310487030000000000{self.asked[case.operation.label] % 3 + 1}"
        elif case.media_type == "application/json" and "choice" in case.body:
            case.body = {"client_key": a_key(), "choice": next(_choices)}
        elif case.media_type == "multipart/form-data" and "audio" in case.body:
            case.body["audio"] = FIFTY_YUAN.read_bytes()

    def _read_back(self) -> dict[str, Any]:
        return self.phone.open_order()

    def _waiting(self) -> dict[str, Any]:
        order = self.phone.open_order()
        self.phone.confirm(order)
        return order

    def _paid(self) -> dict[str, Any]:
        self.world.clock.tick(hours=1)  # fewer than forty a day: the day's sum would ask for a check
        order = self.phone.open_order()
        self.phone.pay(self.phone.confirm(order))
        return order

    def _arrived(self) -> dict[str, Any]:
        order = self._paid()
        self.world.work()
        self.world.sandbox.set_card(GOOD_CARD, balance_fen=0)  # or the card would soon be full
        return order


@pytest.mark.slow
def test_no_request_is_answered_with_a_fault_of_ours_or_in_an_undocumented_way(
    world: World, request: pytest.FixtureRequest
) -> None:
    asker = Asker(world)
    document = schemathesis.openapi.from_url(world.base_url + "/api/openapi.json")
    document.config.generation.with_security_parameters = False  # the door itself is one of the CHECKS
    faults: list[BaseException] = []
    for found in document.get_all_operations():
        operation = found.ok()
        for mode in GenerationMode:
            try:
                send_cases(operation, mode, asker.ask)
            except (Exception, FailureGroup) as fault:
                fault.add_note(f"{mode.value} {operation.label}")
                faults.append(fault)
    cases = sum(asker.asked.values())
    proof.record(
        request.config,
        "requests made from our OpenAPI document",
        {"sent": cases, "operations": len(asker.asked), "with 5xx or undocumented answers": len(faults)},
    )
    if faults:
        raise BaseExceptionGroup("answers that should not be", faults)
    assert cases >= AT_LEAST, asker.asked


def send_cases(operation: APIOperation, mode: GenerationMode, ask: Callable[[Case], None]) -> None:
    """Up to EACH requests of one kind to one operation; raises what the first bad answer (shrunk) says."""

    @settings(max_examples=EACH, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def sent(case: Case) -> None:
        ask(case)

    try:
        sent()
    except Unsatisfiable:
        pass  # nothing can be wrong with a request that takes nothing
