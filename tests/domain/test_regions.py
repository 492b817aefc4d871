"""Whose card a number is, and whether and how it can be topped up in another city."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.cities import Region, cities
from app.domain.regions import Capability, RouteKind, allowed_route, capability, issuer_of, route
from app.errors import AppError

PARTNERS = {  # here: whose cards go through inter-city clearing
    "shanghai": {"hangzhou", "wenzhou"},
    "hangzhou": {"shanghai", "wenzhou"},
    "wenzhou": {"shanghai", "hangzhou"},
    "guangzhou": {"wuhan"},
    "shenzhen": {"guangzhou"},
    "wuhan": {"guangzhou"},
    "chengdu": {"lanzhou"},
    "lanzhou": set(),
    "beijing": set(),
}
NAMES = sorted(PARTNERS)


def card_of(name: str) -> str:
    return cities()[name].card_prefixes[0] + "00000000001"


@pytest.mark.parametrize("here", NAMES)
@pytest.mark.parametrize("issuer", NAMES)
def test_every_pair_of_cities_is_routed_as_the_table_says(here: str, issuer: str) -> None:
    found = route(card_of(issuer), cities()[here])
    assert found.issuer is cities()[issuer] is issuer_of(card_of(issuer))
    if here == issuer:
        assert found.kind is RouteKind.OWN
    elif issuer in PARTNERS[here]:
        assert found.kind is RouteKind.INTER_CITY
    else:
        assert found.kind is RouteKind.REFUSED


def test_a_refused_card_hears_whose_it_is_and_where_it_can_be_topped_up() -> None:
    with pytest.raises(AppError) as refused:
        allowed_route(card_of("beijing"), cities()["guangzhou"])
    assert refused.value.code == "card_other_city"
    assert "京津冀互联互通卡" in refused.value.say and "请打开北京的充值页面" in refused.value.say


def test_a_refused_chip_card_hears_that_it_must_be_held_to_the_phone() -> None:
    with pytest.raises(AppError) as refused:
        allowed_route(card_of("shenzhen"), cities()["guangzhou"])
    assert refused.value.code == "card_other_city_chip"
    assert "深圳通" in refused.value.say and "把卡贴在手机背后" in refused.value.say


def test_a_card_of_nobody_we_know_is_sent_to_the_number_on_its_back() -> None:
    with pytest.raises(AppError) as refused:
        allowed_route("3199999900000000001", cities()["guangzhou"])
    assert refused.value.code == "card_issuer_unknown" and "卡背面的电话" in refused.value.say


@pytest.mark.parametrize("here", NAMES)
def test_what_is_allowed_is_what_is_routed(here: str) -> None:
    allowed = {here} | PARTNERS[here]
    for issuer in allowed:
        assert allowed_route(card_of(issuer), cities()[here]) == route(card_of(issuer), cities()[here])
    for issuer in set(NAMES) - allowed:
        with pytest.raises(AppError, match="card_other_city"):
            allowed_route(card_of(issuer), cities()[here])


@given(st.text("0123456789", max_size=19), st.sampled_from(NAMES))
def test_any_other_number_is_refused_and_never_another_citys(number: str, here: str) -> None:
    found = route(number, cities()[here])
    known = any(number.startswith(prefix) for city in cities().values() for prefix in city.card_prefixes)
    assert (found.issuer is not None) is known
    assert known or found.kind is RouteKind.REFUSED


def test_how_many_of_a_regions_cities_take_other_cities_cards_is_counted_from_the_table() -> None:
    assert capability(cities()) == {
        Region.YANGTZE_DELTA: Capability(supporting=3, cities=3),
        Region.PEARL_DELTA: Capability(supporting=2, cities=2),
        Region.NORTH: Capability(supporting=0, cities=1),
        Region.CENTRAL: Capability(supporting=1, cities=1),
        Region.WEST: Capability(supporting=1, cities=2),
    }
