"""The shapes of asking the family to pay, and of standing orders."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from app.domain.clock import iso
from app.domain.pay_requests import Reason
from app.domain.standing import LEAST_THRESHOLD_FEN, MOST_THRESHOLD_FEN, Kind
from app.flows import views
from app.flows.deps import Deps
from app.flows.proposals import ProposalView
from app.flows.request_screens import RequestView
from app.flows.standing_orders import StandingView
from app.web.schemas import ClientKey, ScreenOut, Shape, screen_out
from app.web.schemas_checks import ScreenOnlyOut as ScreenOnlyOut

UserId = Annotated[str, Field(pattern=r"^usr_[0-9A-HJKMNP-TV-Z]{26}$")]
CardId = Annotated[str, Field(pattern=r"^crd_[0-9A-HJKMNP-TV-Z]{26}$")]
AmountFen = Annotated[int, Field(gt=0, le=10_000_000, strict=True)]


class PayRequestIn(Shape):
    relative_id: UserId
    card_id: CardId
    amount_fen: AmountFen
    client_key: ClientKey


class YesIn(Shape):
    method: str | None = Field(None, max_length=32, description="How it is paid; none: the city's first way")
    bank: str | None = Field(None, max_length=32)


class NoIn(Shape):
    reason: Reason


class StandingIn(Shape):
    elder_id: UserId
    card_id: CardId
    kind: Kind
    amount_fen: AmountFen
    month_ceiling_fen: AmountFen
    day_of_month: int | None = Field(None, ge=1, le=31, strict=True, description="For monthly")
    threshold_fen: int | None = Field(
        None, ge=LEAST_THRESHOLD_FEN, le=MOST_THRESHOLD_FEN, strict=True, description="For low_balance"
    )


class SaidOut(BaseModel):
    name: str
    answer: str | None
    reason: str | None


class PayRequestOut(BaseModel):
    id: str
    state: str
    amount_fen: int
    card_label: str
    opened_at: str
    asked: list[SaidOut]


class PayRequestPageOut(BaseModel):
    request: PayRequestOut
    screen: ScreenOut


class PayRequestsOut(BaseModel):
    mine: list[PayRequestPageOut]
    asked_of_me: list[PayRequestPageOut]
    screen: ScreenOut


class StandingOut(BaseModel):
    id: str
    kind: str
    mine: bool
    amount_fen: int
    month_ceiling_fen: int
    day_of_month: int | None
    threshold_fen: int | None
    card_label: str
    created_at: str


class StandingPageOut(BaseModel):
    standing_order: StandingOut
    screen: ScreenOut


class StandingListOut(BaseModel):
    standing_orders: list[StandingPageOut]
    screen: ScreenOut


class ProposalOut(BaseModel):
    id: str
    amount_fen: int
    card_label: str
    opened_at: str
    expires_at: str


class ProposalPageOut(BaseModel):
    proposal: ProposalOut
    screen: ScreenOut


class ProposalsOut(BaseModel):
    proposals: list[ProposalPageOut]


def request_page(deps: Deps, view: RequestView) -> dict[str, Any]:
    """A request as JSON; whose order it became is told to nobody here."""
    request = view.request
    return {
        "request": {
            "id": request.id,
            "state": request.state.value,
            "amount_fen": request.amount_fen,
            "card_label": views.card_label(deps.city, view.card),
            "opened_at": iso(request.opened_at),
            "asked": [{"name": name, "answer": said, "reason": why} for name, said, why in view.turns],
        },
        "screen": screen_out(view.screen),
    }


def standing_page(deps: Deps, view: StandingView, user_id: str) -> dict[str, Any]:
    """A standing order as JSON; `mine` says whether the asker set it up."""
    standing = view.standing
    return {
        "standing_order": {
            "id": standing.id,
            "kind": standing.kind.value,
            "mine": standing.relative_id == user_id,
            "amount_fen": standing.amount_fen,
            "month_ceiling_fen": standing.month_ceiling_fen,
            "day_of_month": standing.day_of_month,
            "threshold_fen": standing.threshold_fen,
            "card_label": views.card_label(deps.city, view.card),
            "created_at": iso(standing.created_at),
        },
        "screen": screen_out(view.screen),
    }


def proposal_page(deps: Deps, view: ProposalView) -> dict[str, Any]:
    """A proposal as JSON."""
    made = view.proposal
    return {
        "proposal": {
            "id": made.id,
            "amount_fen": made.amount_fen,
            "card_label": views.card_label(deps.city, view.card),
            "opened_at": iso(made.opened_at),
            "expires_at": iso(made.expires_at),
        },
        "screen": screen_out(view.screen),
    }
