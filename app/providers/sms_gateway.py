"""Text messages by an SMS gateway (docs/IDENTITY_GATEWAYS.md): signed JSON, once for each request id."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from app.ports import Clock, Refused, Unknown
from app.providers.signed_gateway import (
    REQUEST_OUTCOMES,
    GatewayConfig,
    Outcomes,
    Party,
    SignedGateway,
    read_answer,
)

TARGET = "/texts/v1/messages"

OUTCOMES: Outcomes = {
    **REQUEST_OUTCOMES,
    "phone_refused": Refused,  # the person stopped our messages, or there is no such number
    "template_unknown": Refused,
    "facts_malformed": Refused,
}
PARTY = Party("text gateway", "X-Text", OUTCOMES)


class _Accepted(BaseModel):
    request_id: str


class SmsGateway:
    """ports.Texts over HTTP. Constructing it touches no network."""

    def __init__(self, config: GatewayConfig, clock: Clock) -> None:
        """ValueError when the key id is missing or the secret is weak."""
        self._gateway = SignedGateway(PARTY, config, clock)

    def close_connections(self) -> None:
        """Give the pooled connections back."""
        self._gateway.close()

    def send(self, request_id: str, phone: str, template: str, facts: Mapping[str, str]) -> None:
        """Hand one message over. The number and the facts are in the body, so they stand in no log."""
        body = {"request_id": request_id, "phone": phone, "template": template, "facts": dict(facts)}
        accepted = read_answer(_Accepted, self._gateway.call("POST", TARGET, body))
        if accepted.request_id != request_id:
            raise Unknown("answer_mismatch", "another message")
