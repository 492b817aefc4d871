"""The stage of `demo family`: a small city, an elder and their relatives, and what stands on their phones."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any

from app.cli.small_city import SmallCity
from app.cli.story import Phone, StoryFailed
from app.cli.troubles import GUANGZHOU_CARD
from app.config import REPOSITORY
from app.domain.clock import SHANGHAI
from app.domain.help import EventKind
from app.domain.money import yuan_text
from app.store import help_rows, people
from app.store.help_rows import HelpEvent

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
    looked_at: HelpEvent = field(init=False)
    _messages: int = 0

    # --- whose phone ---

    def phone(self, name: str) -> Phone:
        return self.elder if name == words()["elder"] else self.relatives[name]

    def see(self, name: str, screen: dict[str, Any]) -> dict[str, Any]:
        """What this person's phone shows, read aloud, and its buttons."""
        buttons = "".join(f" [{choice['label']}]" for choice in screen["choices"])
        self.add(name, screen["say"] + buttons)
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

    # --- help from afar ---

    def events(self, path: str) -> list[HelpEvent]:
        """What happened in a help session so far, as both streams tell it."""
        with self.city.deps.database.read() as tx:
            return help_rows.after(tx, path.rpartition("/")[2], 0)

    def watch(self, name: str, event: HelpEvent) -> None:
        """This person's phone shows one event of the session."""
        body = event.body
        if event.kind == EventKind.SCREEN:
            told = body["say"] + "".join(f" [{each}]" for each in body["choices"])
        elif event.kind == EventKind.POINT:
            told = self.looked_at.body["choices"][body["choice"] - 1]
        elif event.kind == EventKind.FORM:
            told = f"{body['card']} {yuan_text(body['amount_fen'])}"
        else:
            told = body["text"]
        self.add(name, words()["live"][event.kind].format(told=told))

    def refused(self, name: str, path: str) -> bool:
        """Whether this person finds nothing there any more."""
        try:
            self.phone(name).call("GET", path)
        except StoryFailed:
            return True
        return False

    # --- time, and what holds ---

    def pass_until(self, hour: int) -> None:
        """Until it is so late in Shanghai."""
        now = self.city.clock.now().astimezone(SHANGHAI)
        then = now.replace(hour=hour, minute=0, second=0) + timedelta(days=now.hour >= hour)
        self.pass_time(seconds=(then - now).total_seconds())

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
                self.add(owner, words()["message"].format(**facts))
            elif owner and "phrase5" in data:
                facts = {"what": data["phrase5"], "card": data["thing1"], "amount": data["amount2"]}
                self.add(owner, words()["message"].format(**facts))
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

    def add(self, name: str, what: str) -> None:
        """One line on this person's phone, at the time it is."""
        at = f"{self.city.clock.now().astimezone(SHANGHAI):%m-%d %H:%M:%S}"
        self.played.seen.append((at, name, what))


def set_stage(city: SmallCity) -> Stage:
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
