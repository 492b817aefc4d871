"""`flask --app wsgi city list | show NAME | quote NAME …`: what a city offers, costs and promises."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import click
from flask import current_app
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from app.cli.city_facts import city_facts, quote
from app.domain.cities import City, MethodName, cities
from app.domain.clock import SHANGHAI
from app.domain.money import yuan_text
from app.domain.regions import capability
from app.flows.deps import Deps

EARLIEST, LATEST = 2000, 2199  # the years a calendar file may be of
_YUAN = re.compile(r"([0-9]{1,8})(?:\.([0-9]{1,2}))?")
_METHODS = click.Choice([method.value for method in MethodName])
_AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")


class CityName(click.ParamType[City]):
    """A city by its name or its label: lanzhou, 兰州."""

    name = "city"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> City:
        for city in cities().values():
            if value in (city, city.label) or str(value).lower() == city.name:
                return city
        self.fail(f"{value!r} is no city of ours; choose one of {', '.join(cities())}.", param, ctx)


class Yuan(click.ParamType[int]):
    """A sum in yuan with up to two decimals, read exactly into fen."""

    name = "yuan"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        matched = _YUAN.fullmatch(str(value))
        if matched is None:
            self.fail(f"{value!r} is no sum in yuan; write it like 200 or 88.80.", param, ctx)
        yuan, decimals = matched.groups()
        return int(yuan) * 100 + int((decimals or "").ljust(2, "0"))


class Moment(click.ParamType[datetime]):
    """A moment in ISO 8601; without a zone it is Asia/Shanghai's."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no time; write it like 2026-11-20T20:00 (Shanghai's).", param, ctx)
        if not EARLIEST <= moment.year <= LATEST:
            self.fail(f"{value!r} is not of the years {EARLIEST} to {LATEST}.", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=SHANGHAI)


@click.group("city")
def group() -> None:
    """Look at the cities, and ask one for a quote."""


@group.command("list")
@_AS_JSON
def list_cities(as_json: bool) -> None:
    """Every city in one line, and how many of each region's take other cities' cards."""
    regions = capability(cities())
    if as_json:
        counted = {
            region: {"cities": found.cities, "supporting": found.supporting}
            for region, found in regions.items()
        }
        _echo({"cities": [city_facts(city) for city in cities().values()], "cross_region": counted})
        return
    # What fits on eighty columns; `show` has the rest.
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    for heading in ("name", "city", "clearing", "steps", "identity", "methods", "partners"):
        table.add_column(heading, no_wrap=True)
    for city in cities().values():
        table.add_row(
            city.name,
            city.label,
            city.clearing,
            str(city.step_budget),
            city.entry.identity,
            f"{len(city.methods)} of {len(MethodName)}",
            " ".join(cities()[partner].label for partner in city.accepts) or "-",
        )
    Console().print(table)
    for region, found in regions.items():
        click.echo(f"{region}: {found.supporting} of {found.cities} take other cities' cards")


@group.command("show")
@click.argument("city", metavar="NAME", type=CityName())
@_AS_JSON
def show(city: City, as_json: bool) -> None:
    """Everything one city's file says."""
    facts = city_facts(city)
    if as_json:
        _echo(facts)
        return
    methods = facts.pop("methods")
    _rows(f"{city.label} {city.name}", facts.items())
    table = Table("method", "", "offered", "yuan", "fees: bank, bps, least and most yuan")
    for method in methods:
        fees = "\n".join(
            f"{fee['bank']} {fee['bps']} {yuan_text(fee['min_fen'])}..{yuan_text(fee['cap_fen'])}"
            for fee in method["fees"]
        )
        table.add_row(
            method["name"],
            method["label"],
            "yes" if method["enabled"] else "no",
            f"{yuan_text(method['min_fen'])}..{yuan_text(method['max_fen'])}",
            fees or "free",
        )
    Console().print(table)


@group.command("quote")
@click.argument("city", metavar="NAME", type=CityName())
@click.option("--method", required=True, type=_METHODS, help="How it is paid.")
@click.option("--amount", "amount_fen", required=True, type=Yuan(), help="In yuan: 200, or 88.80.")
@click.option("--bank", help="Whose card; a bank without a schedule of its own pays the one for others.")
@click.option("--at", type=Moment(), help="When the payment succeeds. Default: now.")
@_AS_JSON
def quote_payment(
    city: City, method: str, amount_fen: int, bank: str | None, at: datetime | None, as_json: bool
) -> None:
    """Fee, limits, steps and arrival of one payment, as the person would be told."""
    if bank is not None and method == MethodName.WECHAT_BALANCE:
        raise click.UsageError("the WeChat balance has no bank; leave --bank out, or choose another --method")
    deps: Deps = current_app.extensions["anxin"]
    moment = at or deps.clock.now()
    told = quote(city, method, amount_fen, bank and bank.lower(), moment, deps.calendar)
    if as_json:
        _echo(told)
        return
    promised = told.pop("promise")
    told["methods_offered"] = ", ".join(each["name"] for each in told["methods_offered"])
    _rows(f"{city.label} {city.name}", [*told.items(), *promised.items()])


def _rows(title: str, facts: Iterable[tuple[str, Any]]) -> None:
    """Two columns; sums are shown in yuan, and what there is not is left out."""
    table = Table("", "", title=title, show_header=False)
    for name, value in facts:
        if value is not None and value != []:
            table.add_row(*_pair(name, value))
    Console().print(table)


def _pair(name: str, value: Any) -> tuple[str, str]:
    if isinstance(value, bool):
        return name, "yes" if value else "no"
    if name.endswith("_fen"):
        return f"{name.removesuffix('_fen')} yuan", yuan_text(value)
    if isinstance(value, dict):
        inner = (" ".join(_pair(key, each)) for key, each in value.items() if each is not None)
        return name, ", ".join(inner)
    return name, ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _echo(document: Any) -> None:
    click.echo(json.dumps(document, ensure_ascii=False, indent=1))
