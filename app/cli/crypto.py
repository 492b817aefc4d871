"""`flask --app wsgi crypto selftest`: every algorithm against its published answers, every key in turn."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain

import click
from flask import current_app
from rich.console import Console
from rich.table import Table

from app.flows.deps import Deps
from app.providers.known_answers import Answer, answered, gm_cases, other_cases, vault_cases, vectors
from app.providers.known_answers_card import card_cases
from app.providers.known_answers_wechat import message_cases, payment_cases


@click.group("crypto")
def group() -> None:
    """Prove the cryptography of this machine."""


@group.command("selftest")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def selftest(as_json: bool) -> None:
    """Recompute every published answer and round-trip every key of the vault. Exit 1 if anything differs."""
    deps: Deps = current_app.extensions["anxin"]
    answers = list(_answers(deps))
    failed = sum(answer.fault is not None for answer in answers)
    if as_json:
        told = {"ok": not failed, "run": len(answers), "failed": failed}
        click.echo(json.dumps(told | {"answers": [asdict(answer) for answer in answers]}))
    else:
        _show(answers, failed)
    sys.exit(1 if failed else 0)


def _answers(deps: Deps) -> Iterator[Answer]:
    vault = deps.settings.vault
    return answered(
        chain(
            gm_cases(vectors("gm_standards")),
            other_cases(vectors("crypto_vectors")),
            payment_cases(),
            message_cases(),
            card_cases(vectors("pboc_load_vectors")),
            vault_cases(vault.keys, vault.lookup_keys),
        )
    )


def _show(answers: list[Answer], failed: int) -> None:
    caption = f"{len(answers)} answers, {failed} wrong" if failed else f"{len(answers)} answers, all right"
    table = Table("algorithm", "answer", "source", "", title="Cryptography", caption=caption)
    for answer in answers:
        right = answer.fault is None
        table.add_row(
            answer.algorithm,
            answer.name,
            answer.source,
            "right" if right else f"WRONG: {answer.fault}",
            style=None if right else "bold red",
        )
    Console().print(table)
