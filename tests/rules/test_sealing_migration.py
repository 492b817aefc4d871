"""Migration 0006 seals the card numbers there are and can open them again, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_migrate import check, downgrade, upgrade
from sqlalchemy import Engine, text

from app import create_app
from app.config import Settings
from app.flows.deps import Deps
from app.wiring import build_deps
from tests.builders import card_number
from tests.conftest import DATABASES, database_url
from tests.schema import MIGRATIONS, migration_app

KEYS = "k1=00112233445566778899aabbccddeeff"
OLD, NEW = f"l1={'l' * 40}", f"l2={'m' * 40}"
NUMBERS = {"crd_1": "3104870300000000001", "crd_2": "3104870300000000002", "crd_3": "31048703*1*0003"}
PHONE, DEVICE = "a" * 64, "b" * 64  # lookups as they were before keys had ids
BEFORE = f"""
INSERT INTO users (id, created_at) VALUES ('usr_1', '2026-11-01 00:00:00'), ('usr_2', '2026-11-01 00:00:00');
INSERT INTO cards (id, user_id, card_number, city, mode, registered, nickname, position, created_at) VALUES
 ('crd_1', 'usr_1', '{NUMBERS["crd_1"]}', 'guangzhou', 'account', true, '买菜卡', 1, '2026-11-01 00:00:00'),
 ('crd_2', 'usr_1', '{NUMBERS["crd_2"]}', 'guangzhou', 'account', true, NULL, 2, '2026-11-01 00:00:00'),
 ('crd_3', 'usr_2', '{NUMBERS["crd_3"]}', 'guangzhou', 'account', true, NULL, 1, '2026-11-01 00:00:00');
INSERT INTO orders (id, user_id, beneficiary_id, payer_openid, card_id, amount_fen, fee_fen, method, channel,
  state, client_key, request_hash, read_back, created_at, expires_at)
 VALUES ('ord_1', 'usr_1', 'usr_1', 'o', 'crd_1', 5000, 0, 'wechat_balance', 'h5', 'paid', 'key', 'hash', 'r',
  '2026-11-01 00:00:00', '2026-11-01 00:10:00');
INSERT INTO real_names (user_id, phone_lookup) VALUES ('usr_1', '{PHONE}');
INSERT INTO devices (id, user_id, device_key, first_seen_at, last_seen_at)
 VALUES ('dev_1', 'usr_1', '{DEVICE}', '2026-11-01 00:00:00', '2026-11-01 00:00:00')
"""


@contextmanager
def application(folder: Path, url: str, keys: str = KEYS, lookup_keys: str = OLD) -> Iterator[Deps]:
    """The whole application around the migrations, as `flask --app wsgi db upgrade` has it."""
    environ = {"ANXIN_DATA_DIR": str(folder), "ANXIN_DATABASE_URL": url, "ANXIN_VAULT_KEYS": keys}
    deps = build_deps(Settings.from_env({**environ, "ANXIN_LOOKUP_KEYS": lookup_keys}))
    app = create_app(deps=deps)
    with app.app_context():
        yield deps
        engine_of(app).dispose()
    deps.speech.close()
    deps.faces.close()
    deps.database.close()


def engine_of(app: Flask) -> Engine:
    engine: Engine = app.extensions["migrate"].db.engine
    return engine


def rows(deps: Deps, sql: str) -> list[tuple[Any, ...]]:
    with deps.database.read() as tx:
        return [tuple(row) for row in tx.execute(text(sql))]


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database as 0005 left it, with cards, one of them of an erased person."""
    found = database_url(request, request.param, tmp_path)
    app = migration_app(found)
    with app.app_context():
        downgrade(directory=MIGRATIONS, revision="0005")
        with engine_of(app).begin() as tx:
            for statement in BEFORE.split(";\n"):
                tx.execute(text(statement))
        engine_of(app).dispose()
    return found


def assert_as_before(deps: Deps) -> None:
    assert rows(deps, "SELECT version_num FROM alembic_version") == [("0005",)]
    assert rows(deps, "SELECT id, card_number FROM cards ORDER BY id") == list(NUMBERS.items())
    assert rows(deps, "SELECT phone_lookup FROM real_names") == [(PHONE,)]
    assert rows(deps, "SELECT device_key FROM devices") == [(DEVICE,)]
    assert rows(deps, "SELECT id, card_id FROM orders") == [("ord_1", "crd_1")]


def test_numbers_are_sealed_and_opened_again(url: str, tmp_path: Path) -> None:
    with application(tmp_path / "data", url, lookup_keys=f"{NEW} {OLD}") as deps:
        upgrade(directory=MIGRATIONS)
        check(directory=MIGRATIONS)
        stored = rows(deps, "SELECT id, card_number, card_number_lookup FROM cards ORDER BY id")
        assert [row[0] for row in stored] == list(NUMBERS)
        for card_id, sealed, lookup in stored[:2]:
            assert sealed.startswith("k1:") and card_number(deps.vault, card_id, sealed) == NUMBERS[card_id]
            assert lookup == deps.vault.lookup(NUMBERS[card_id], "cards.card_number")
        assert stored[2][1:] == (None, None)  # an erased person's: its middle was gone
        plain = rows(deps, "SELECT prefix, last_four, nickname FROM cards ORDER BY id")
        assert plain == [
            ("31048703", "0001", "买菜卡"),
            ("31048703", "0002", None),
            ("31048703", "0003", None),
        ]
        assert rows(deps, "SELECT phone_lookup FROM real_names") == [(f"l1:{PHONE}",)]
        assert rows(deps, "SELECT device_key FROM devices") == [(f"l1:{DEVICE}",)]
        downgrade(directory=MIGRATIONS, revision="0005")
        assert_as_before(deps)


def test_without_keys_the_upgrade_says_so_and_changes_nothing(url: str, tmp_path: Path) -> None:
    app = migration_app(url)
    with app.app_context():
        with pytest.raises(SystemExit, match="ANXIN_VAULT_KEYS"):
            upgrade(directory=MIGRATIONS)
        engine_of(app).dispose()
    with application(tmp_path / "data", url) as deps:
        assert_as_before(deps)


def test_without_their_key_the_downgrade_says_so_and_changes_nothing(url: str, tmp_path: Path) -> None:
    with application(tmp_path / "data", url):
        upgrade(directory=MIGRATIONS)
    with application(tmp_path / "data", url, keys="k2=ffeeddccbbaa99887766554433221100") as deps:
        before = rows(deps, "SELECT * FROM cards ORDER BY id")
        with pytest.raises(SystemExit, match="cards.card_number:crd_1: .* ANXIN_VAULT_KEYS"):
            downgrade(directory=MIGRATIONS, revision="0005")
        assert rows(deps, "SELECT version_num FROM alembic_version") == [("0006",)]
        assert rows(deps, "SELECT * FROM cards ORDER BY id") == before
