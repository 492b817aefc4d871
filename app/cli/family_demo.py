"""The family's stories, played in a small city: what stands on both people's phones, in words.

An act is a function of a `Stage`, with what it shows as its docstring; ACTS lists them in their order. All of
them play in one city, one after the other, with the same people. An act speaks through phones only
(`stage.tap`, `stage.call`), lets time pass (`stage.pass_time`), and says what must hold (`stage.must`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import requests

from app.cli import Build
from app.cli.small_city import SmallCity, small_city
from app.cli.story import Phone, StoryFailed
from app.cli.troubles import GUANGZHOU_CARD, MORNING
from app.config import REPOSITORY
from app.domain.clock import SHANGHAI
from app.domain.family import Role
from app.store import people

WORDS = REPOSITORY / "app" / "copy" / "family_demo.toml"


@cache
def words() -> dict[str, Any]:
    """The names, and how a message is told."""
    return tomllib.loads(WORDS.read_text())


@dataclass
class Played:
    """How one act went. `seen` are (time in Shanghai, whose phone, what stood there or was read aloud)."""

    name: str
    summary: str
    seen: list[tuple[str, str, str]] = field(default_factory=list)
    end: dict[str, Any] = field(default_factory=dict)
    holds: bool = True


@dataclass
class Stage:
    """One city with an elder and their relatives; `relatives` are phones by the elder's names for them."""

    city: SmallCity
    elder: Phone
    elder_id: str
    relatives: dict[str, Phone]
    ids: dict[str, str]
    played: Played = field(default_factory=lambda: Played("", ""))
    _messages: int = 0

    # --- whose phone ---

    def phone(self, name: str) -> Phone:
        return self.elder if name == words()["elder"] else self.relatives[name]

    def see(self, name: str, screen: dict[str, Any]) -> dict[str, Any]:
        """What this person's phone shows, read aloud, and its buttons."""
        buttons = "".join(f" [{choice['label']}]" for choice in screen["choices"])
        self._add(name, screen["say"] + buttons)
        return screen

    def tap(self, name: str, choice: str) -> dict[str, Any]:
        """This person presses a button; answers the next screen."""
        return self.see(name, self.phone(name).tap(choice)["screen"])

    def button(self, screen: dict[str, Any], starts: str) -> str:
        """The id of the first button of this kind."""
        for choice in screen["choices"]:
            if str(choice["id"]).startswith(starts):
                return str(choice["id"])
        raise StoryFailed(f"no button {starts!r} on: {screen['say']}")

    def call(self, name: str, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """This person's phone asks the API; its screen is seen."""
        page = self.phone(name).call(method, path, **({} if body is None else {"json": body}))
        if "screen" in page:
            self.see(name, page["screen"])
        return page

    def pay(self, name: str, screen: dict[str, Any]) -> None:
        """Pay in WeChat what this screen asks for."""
        sheet = {"payment": screen["payment"], "action": "pay"}
        self.must("paid", self.phone(name).wechat("pay", sheet)["errMsg"] == "requestPayment:ok")

    # --- time, and what holds ---

    def pass_time(self, **later: float) -> None:
        """Let time pass; the worker does what is due, and messages arrive."""
        self.city.work(**later)
        self.city.work()
        messages = self.city.look("messages")
        for message in messages[self._messages :]:
            owner = self._owner(message["openid"])
            data = message["data"]
            if owner and "thing2" in data:
                facts = {"what": data["thing1"], "card": data["thing2"], "amount": data["amount3"]}
                self._add(owner, words()["message"].format(**facts))
            elif owner and "phrase5" in data:
                facts = {"what": data["phrase5"], "card": data["thing1"], "amount": data["amount2"]}
                self._add(owner, words()["message"].format(**facts))
        self._messages = len(messages)

    def must(self, what: str, held: bool) -> None:
        """Remember whether this held; the act fails when it did not."""
        self.played.end[what] = held
        self.played.holds &= held

    def _owner(self, openid: str) -> str | None:
        return self._openids().get(openid)

    def _openids(self) -> dict[str, str]:
        app_id = self.city.deps.settings.wechat.app_id
        owners = {self.elder_id: words()["elder"]} | {self.ids[name]: name for name in self.ids}
        with self.city.deps.database.read() as tx:
            return {people.openid_in(tx, app_id, user_id) or "": name for user_id, name in owners.items()}

    def _add(self, name: str, what: str) -> None:
        at = f"{self.city.clock.now().astimezone(SHANGHAI):%m-%d %H:%M:%S}"
        self.played.seen.append((at, name, what))


def invite_and_bind(stage: Stage) -> None:
    """The elder invites two relatives by a code, and says yes to each with it; then a day passes."""
    elder = words()["elder"]
    for name in words()["relatives"]:
        code = stage.call(elder, "POST", "/api/v1/relatives/invites")["code"]
        stage.call(name, "POST", "/api/v1/relatives/accept", {"code": code, "name": elder})
        yes = {"code": code, "name": name, "roles": [role.value for role in Role]}
        stage.call(elder, "POST", f"/api/v1/relatives/{stage.ids[name]}/confirm", yes)
    bound = stage.elder.call("GET", "/api/v1/relatives")["relatives"]
    stage.must("both bound", len(bound) == 2 and all(each["state"] == "bound" for each in bound))
    stage.pass_time(hours=25)


def ask_and_second_answers(stage: Stage) -> None:
    """The elder asks the first relative, who is silent for half an hour; the second says yes and pays."""
    elder, (first, second) = words()["elder"], words()["relatives"]
    before = stage.elder.call("GET", "/api/v1/cards")["cards"][0]["balance_fen"]
    whom = stage.tap(elder, "ask_family")
    much = stage.tap(elder, next(each["id"] for each in whom["choices"] if each["label"] == first))
    read_back = stage.tap(elder, stage.button(much, "amount:5000"))
    asked = stage.tap(elder, stage.button(read_back, "ask:"))
    stage.pass_time()
    stage.pass_time(minutes=30)
    standing = stage.tap(elder, stage.button(asked, "asked:"))
    (waiting,) = stage.phone(second).call("GET", "/api/v1/pay-requests")["asked_of_me"]
    question = stage.see(second, waiting["screen"])
    mine = stage.tap(second, stage.button(question, "family:yes:"))
    stage.tap(elder, stage.button(standing, "asked:"))
    stage.pay(second, stage.tap(second, stage.button(mine, "confirm:")))
    stage.pass_time(seconds=5)
    order = stage.call(second, "GET", f"/api/v1/orders/{mine['order']['id']}")["order"]
    stage.tap(elder, stage.button(standing, "asked:"))
    after = stage.elder.call("GET", "/api/v1/cards")["cards"][0]["balance_fen"]
    stage.must("credited", order["truth"] == "credited" and after == before + 5000)
    stage.must("one order", len(stage.city.look("trades")) == 1)


def standing_order(stage: Stage) -> None:
    """A relative sets up a monthly top-up; when it is due one tap of theirs pays, and nothing does before."""
    elder, (first, _second) = words()["elder"], words()["relatives"]
    card_id = stage.elder.call("GET", "/api/v1/cards")["cards"][0]["id"]
    wish = {"elder_id": stage.elder_id, "card_id": card_id, "kind": "monthly", "day_of_month": 27}
    sums = {"amount_fen": 10_000, "month_ceiling_fen": 10_000}
    stage.call(first, "POST", "/api/v1/standing-orders", wish | sums)
    trades = len(stage.city.look("trades"))
    for _ in range(6):
        stage.pass_time(hours=12)
    (made,) = stage.phone(first).call("GET", "/api/v1/proposals")["proposals"]
    stage.must("nothing paid by itself", len(stage.city.look("trades")) == trades)
    mine = stage.tap(first, stage.button(stage.see(first, made["screen"]), "proposal:yes:"))
    stage.pay(first, stage.tap(first, stage.button(mine, "confirm:")))
    stage.pass_time(seconds=5)
    order = stage.call(first, "GET", f"/api/v1/orders/{mine['order']['id']}")["order"]
    stage.must("credited", order["truth"] == "credited")
    stage.tap(elder, "balance")


def history(stage: Stage) -> None:
    """The elder has the history read out: who did what, when."""
    page = stage.call(words()["elder"], "GET", "/api/v1/me/history")
    for told in reversed(page["history"]):
        stage._add(words()["elder"], told["say"])
    stage.must("told", len(page["history"]) >= 2)


ACTS: tuple[Callable[[Stage], None], ...] = (invite_and_bind, ask_and_second_answers, standing_order, history)


def play(build: Build, only: str | None = None) -> list[Played]:
    """Play the acts. A step that does not hold is told, not raised; the acts after it are played too."""
    acts = []
    with small_city(build, "guangzhou", MORNING) as city:
        stage = _set(city)
        for act in ACTS:
            if only in (None, act.__name__) or act is invite_and_bind:  # nothing goes without a tie
                stage.played = Played(act.__name__, " ".join((act.__doc__ or "").split()))
                acts.append(stage.played)
                _played(stage, act)
    return acts


def _played(stage: Stage, act: Callable[[Stage], None]) -> None:
    try:
        act(stage)
        stage.must("ledger conserved", stage.city.conserved())
    except (StoryFailed, requests.RequestException, ValueError) as fault:
        stage.played.end["fault"] = str(fault)
        stage.played.holds = False


def _set(city: SmallCity) -> Stage:
    """An elder with a card, and relatives whom nothing ties to them yet."""
    elder = Phone(city.base_url, "mother")
    elder_id = elder.log_in()
    elder.call("POST", "/api/v1/cards", json={"card_number": GUANGZHOU_CARD})
    stage = Stage(city, elder, elder_id, {}, {})
    for number, name in enumerate(words()["relatives"]):
        phone = stage.relatives[name] = Phone(city.base_url, f"child-{number}")
        stage.ids[name] = phone.log_in()
        _accept_messages(phone)
    _accept_messages(elder)
    return stage


def _accept_messages(phone: Phone) -> None:
    """Yes to some messages of every kind, in WeChat and to us."""
    offered = phone.call("GET", "/api/v1/subscriptions")["templates"]
    for _ in range(6):
        ids = [each["template_id"] for each in offered]
        phone.wechat("subscribe", {"person": phone.person, "template_ids": ids})
        phone.call("POST", "/api/v1/subscriptions", json={"accepted": [each["name"] for each in offered]})
