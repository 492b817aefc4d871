"""Whose card is it, and can it be topped up here? The number range decides (PRODUCT.md "Cities").

A T-Union card of a partner city goes through inter-city clearing where the capability table (each city's
`cross_region.accepts`) allows it. Anywhere else the refusal names the nearest way that works.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from app.domain.cards import prefix
from app.domain.cities import CardKind, City, Region, cities
from app.errors import AppError


class RouteKind(StrEnum):
    OWN = "own"
    INTER_CITY = "inter_city"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Route:
    """How money would reach a card. `issuer` is the city whose card it is, None when it is none of ours."""

    kind: RouteKind
    issuer: City | None


@cache
def _by_prefix() -> Mapping[str, City]:
    return {prefix: city for city in cities().values() for prefix in city.card_prefixes}


def issuer_of(card_number: str) -> City | None:
    """The city whose number range this is; the number's prefix is enough, here and below."""
    return _by_prefix().get(prefix(card_number))


def route(card_number: str, city: City) -> Route:
    """The way from `city` to the card with this (cleaned) number."""
    issuer = issuer_of(card_number)
    if issuer is None:
        return Route(RouteKind.REFUSED, None)
    if issuer.name == city.name:
        return Route(RouteKind.OWN, issuer)
    accepted = issuer.name in city.accepts
    return Route(RouteKind.INTER_CITY if accepted else RouteKind.REFUSED, issuer)


def allowed_route(card_number: str, city: City) -> Route:
    """The route, unless it is refused: then AppError card_other_city, card_other_city_chip or
    card_issuer_unknown, each with the nearest way that works."""
    found = route(card_number, city)
    if found.kind is not RouteKind.REFUSED:
        return found
    if found.issuer is None:
        raise AppError("card_issuer_unknown", here=city.label)
    chip_only = found.issuer.card_kinds == (CardKind.CHIP,)
    raise AppError(
        "card_other_city_chip" if chip_only else "card_other_city",
        card_name=found.issuer.card_name,
        there=found.issuer.label,
        here=city.label,
    )


@dataclass(frozen=True, slots=True)
class Capability:
    """Of a region's cities, how many top up cards of another city."""

    supporting: int
    cities: int


def capability(known: Mapping[str, City]) -> dict[Region, Capability]:
    """Counted from the capability table, never written down: regions that have a city, in their order."""
    counted = {}
    for region in Region:
        members = [city for city in known.values() if city.region is region]
        if members:
            counted[region] = Capability(sum(1 for city in members if city.accepts), len(members))
    return counted
