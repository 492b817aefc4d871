"""What stories of the family start from: an elder with a card, and relatives with roles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.domain.family import Role
from app.flows import login
from app.store import relatives
from tests.world import Phone, World, a_key

EVERYTHING = frozenset(Role)


def user_of(world: World, phone: Phone) -> str:
    return login.authenticate(world.deps, phone.token).user_id


@dataclass
class Family:
    """An elder and those who look after them, by the names the elder gave them."""

    world: World
    elder: Phone
    elder_id: str
    card_id: str
    relatives: dict[str, Phone]

    def id_of(self, name: str) -> str:
        return user_of(self.world, self.relatives[name])

    def change(self, name: str, **values: Any) -> None:
        """Other roles, a freeze: as the stories of binding write them."""
        with self.world.deps.database.write() as tx:
            relatives.change(tx, self.elder_id, self.id_of(name), values)

    def end(self, name: str) -> None:
        self.relatives[name].ok("DELETE", f"/api/v1/elders/{self.elder_id}")

    def wish(self, name: str, amount_fen: int = 5000, **more: Any) -> dict[str, Any]:
        body = {"relative_id": self.id_of(name), "card_id": self.card_id, "amount_fen": amount_fen}
        return {**body, "client_key": a_key(), **more}

    def ask(self, name: str, amount_fen: int = 5000) -> str:
        """The elder asks; answers the request's id."""
        page = self.elder.ok("POST", "/api/v1/pay-requests", self.wish(name, amount_fen))
        return str(page["request"]["id"])

    def screen(self, request_id: str) -> dict[str, Any]:
        """What the elder is told of it."""
        return dict(self.elder.ok("GET", f"/api/v1/pay-requests/{request_id}")["screen"])

    def state(self, request_id: str) -> str:
        return str(self.elder.ok("GET", f"/api/v1/pay-requests/{request_id}")["request"]["state"])

    def asked_of(self, name: str) -> list[str]:
        """The requests that wait for this relative's word."""
        found = self.relatives[name].ok("GET", "/api/v1/pay-requests")["asked_of_me"]
        return [page["request"]["id"] for page in found]

    def history(self) -> list[str]:
        """The elder's history as it is read aloud, oldest first."""
        told = self.elder.ok("GET", "/api/v1/me/history")["history"]
        return [each["say"] for each in reversed(told)]

    def pay(self, name: str, page: dict[str, Any]) -> None:
        """The relative confirms and pays an order; the worker delivers it."""
        phone = self.relatives[name]
        assert phone.pay(phone.confirm(page["order"])) == "requestPayment:ok"
        self.world.work()


def a_family(world: World, *names: str, roles: frozenset[Role] = EVERYTHING) -> Family:
    """An elder, and these relatives in the order of their names, all bound for more than a day."""
    elder = world.elder("wang")
    family = Family(world, elder, user_of(world, elder), elder.cards[0], {})
    for name in names:
        family.relatives[name] = world.phone(f"relative-{name}")
        with world.deps.database.write() as tx:
            relatives.accept(tx, family.elder_id, family.id_of(name), "妈妈")
            relatives.bind(tx, family.elder_id, family.id_of(name), name, roles, world.clock.now())
    world.clock.tick(hours=25)
    return family
