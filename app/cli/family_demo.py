"""The family's stories, played in a small city: what stands on both people's phones, in words.

An act is a function of a `Stage`, with what it shows as its docstring; ACTS lists them in their order. All of
them play in one city, one after the other, with the same people. An act speaks through phones only
(`stage.tap`, `stage.call`), lets time pass (`stage.pass_time`), and says what must hold (`stage.must`).
"""

from __future__ import annotations

from collections.abc import Callable

import requests

from app.cli import Build
from app.cli.family_stage import Played, Stage, set_stage, words
from app.cli.small_city import small_city
from app.cli.story import StoryFailed
from app.cli.troubles import MORNING
from app.config import REPOSITORY
from app.domain.family import Role

SPOKEN_YES = REPOSITORY / "tests" / "data" / "speech" / "yes_slowly.flac"
STRANGERS_CARD = "3104870300000000003"


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


def remote_top_up(stage: Stage) -> None:
    """The son tops up from another city with his own WeChat; both are told, each in their words."""
    (_first, second), elder = words()["relatives"], words()["elder"]
    page = stage.call(second, "GET", f"/api/v1/elders/{stage.elder_id}")
    wish = {"card_id": page["cards"][0]["id"], "amount_fen": 5000, "method": "wechat_balance"}
    path = f"/api/v1/elders/{stage.elder_id}/orders"
    read_back = stage.call(second, "POST", path, wish | {"client_key": "from-another-city"})
    order_id = read_back["order"]["id"]
    stage.pay(second, stage.tap(second, stage.button(read_back["screen"], "confirm:")))
    stage.pass_time(seconds=5)
    told = stage.call(second, "GET", f"/api/v1/orders/{order_id}")["order"]
    stage.call(elder, "GET", f"/api/v1/orders/{order_id}")
    stage.must("credited", told["truth"] == "credited")


def help_from_afar(stage: Stage) -> None:
    """The elder grants ten minutes by a spoken yes and a touch; the daughter points, speaks and prepares a
    form, the elder alone confirms it; one touch ends it."""
    elder, (first, _second) = words()["elder"], words()["relatives"]
    version = stage.elder.call("GET", "/api/v1/me/consents")["consents"][0]["version"]
    stage.call(elder, "POST", "/api/v1/me/consents", {"purpose": "voice", "version": version})
    asked = stage.call(elder, "POST", "/api/v1/help", {"relative_id": stage.ids[first]})
    path = f"/api/v1/help/{asked['help']['id']}"
    clip = {"audio": (SPOKEN_YES.name, SPOKEN_YES.read_bytes())}
    stage.see(elder, stage.elder.call("POST", f"{path}/spoken", files=clip)["screen"])
    stage.call(elder, "POST", f"{path}/open", {})
    stage.elder.helped_in = asked["help"]["id"]
    cards = stage.call(first, "GET", path)["cards"]
    stage.tap(elder, "top_up")
    stage.looked_at = stage.events(path)[-1]
    stage.watch(first, stage.looked_at)
    stage.call(first, "POST", f"{path}/point", {"screen": stage.looked_at.number, "choice": 1})
    stage.call(first, "POST", f"{path}/messages", {"text": words()["said"]})
    form = {"card_id": cards[0]["id"], "amount_fen": 6000, "method": "wechat_balance"}
    stage.call(first, "POST", f"{path}/forms", form | {"client_key": "prepared-for-mother"})
    for event in stage.events(path)[-3:]:
        stage.watch(elder, event)
    orders = stage.elder.call("GET", "/api/v1/orders")["orders"]
    prepared = next(each for each in orders if each["amount_fen"] == 6000)
    read_back = stage.call(elder, "GET", f"/api/v1/orders/{prepared['id']}")["screen"]
    stage.pay(elder, stage.tap(elder, stage.button(read_back, "confirm:")))
    stage.pass_time(seconds=5)
    done = stage.call(elder, "GET", f"/api/v1/orders/{prepared['id']}")["order"]
    stage.elder.helped_in = None
    stage.call(elder, "POST", f"{path}/end", {})
    stage.must("credited", done["truth"] == "credited")
    stage.must("over", stage.refused(first, path))


def scam_held_and_released(stage: Stage) -> None:
    """At night, for a card bound just now: the elder is asked calmly, the daughter holds the payment, the
    son rings up, releases it and vouches for it; only then it is paid."""
    elder, (first, second) = words()["elder"], words()["relatives"]
    stage.pass_until(hour=1)
    card = stage.call(elder, "POST", "/api/v1/cards", {"card_number": STRANGERS_CARD})["card"]
    wish = {"card_id": card["id"], "amount_fen": 30_000, "method": "wechat_balance"}
    order = stage.call(elder, "POST", "/api/v1/orders", wish | {"client_key": "somebody-told-her"})["order"]
    path = f"/api/v1/orders/{order['id']}"
    asked = stage.call(elder, "POST", f"{path}/confirm", {"read_back": order["read_back"]})
    stage.must("asked calmly", asked["screen"]["next"] == "choose" and not asked["order"]["paid_at"])
    stage.call(elder, "POST", f"{path}/questions/told_to", {"answer": "own"})
    stage.call(first, "GET", "/api/v1/alerts")
    stage.call(first, "POST", "/api/v1/holds", {"order_id": order["id"], "reason": "stranger"})
    stage.pass_time(seconds=5)
    held = stage.call(elder, "POST", f"{path}/confirm", {"read_back": order["read_back"]})
    stage.must("held", held["screen"].get("payment") is None)
    stage.call(second, "GET", "/api/v1/alerts")
    stage.call(second, "DELETE", f"/api/v1/holds/{order['id']}")
    page = stage.call(elder, "POST", f"{path}/confirm", {"read_back": order["read_back"]})
    if page["order"]["state"] == "awaiting_check":
        stage.call(elder, "POST", f"{path}/check/relative", {})
        stage.call(second, "POST", f"/api/v1/co-confirmations/{order['id']}", {"yes": True})
        page = stage.call(elder, "POST", f"{path}/confirm", {"read_back": order["read_back"]})
    stage.pay(elder, page["screen"])
    stage.pass_time(seconds=5)
    done = stage.call(elder, "GET", path)["order"]
    stage.must("credited", done["truth"] == "credited")


def ask_and_second_answers(stage: Stage) -> None:
    """The elder asks the first relative, who is silent for half an hour; the second says yes and pays."""
    elder, (first, second) = words()["elder"], words()["relatives"]
    before = stage.elder.call("GET", "/api/v1/cards")["cards"][0]["balance_fen"]
    trades = len(stage.city.look("trades"))
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
    stage.must("one order", len(stage.city.look("trades")) == trades + 1)


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
        stage.add(words()["elder"], told["say"])
    stage.must("told", len(page["history"]) >= 2)


ACTS: tuple[Callable[[Stage], None], ...] = (
    invite_and_bind,
    remote_top_up,
    ask_and_second_answers,
    help_from_afar,
    standing_order,
    scam_held_and_released,
    history,
)


def play(build: Build, only: str | None = None) -> list[Played]:
    """Play the acts. A step that does not hold is told, not raised; the acts after it are played too."""
    acts = []
    models = REPOSITORY / "voice_models"
    with small_city(build, "guangzhou", MORNING, voice_models=models) as city:
        stage = set_stage(city)
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
