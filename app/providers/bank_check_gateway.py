"""The bank's four-factor check by a gateway (docs/IDENTITY_GATEWAYS.md): do name, ID number, bank card and
phone belong together? Signed JSON; the answer to a request id never changes.
"""

from __future__ import annotations

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

TARGET = "/bank-checks/v1/verifications"

OUTCOMES: Outcomes = {
    **REQUEST_OUTCOMES,
    "card_blocked": Refused,
    "name_malformed": Refused,
    "id_number_malformed": Refused,
    "card_number_malformed": Refused,
}
PARTY = Party("bank check", "X-Bank", OUTCOMES)


class _Verdict(BaseModel):
    request_id: str
    agrees: bool


class BankCheckGateway:
    """ports.BankCards over HTTP. Constructing it touches no network."""

    def __init__(self, config: GatewayConfig, clock: Clock) -> None:
        """ValueError when the key id is missing or the secret is weak."""
        self._gateway = SignedGateway(PARTY, config, clock)

    def close_connections(self) -> None:
        """Give the pooled connections back."""
        self._gateway.close()

    def verify(self, request_id: str, name: str, id_number: str, card_number: str, phone: str) -> bool:
        """Ask once; nothing of what is asked stands in an address, a log or an exception."""
        body = {
            "request_id": request_id,
            "name": name,
            "id_number": id_number,
            "card_number": card_number,
            "phone": phone,
        }
        verdict = read_answer(_Verdict, self._gateway.call("POST", TARGET, body))
        if verdict.request_id != request_id:
            raise Unknown("answer_mismatch", "another check")
        return verdict.agrees
