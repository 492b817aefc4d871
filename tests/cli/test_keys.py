"""`keys status` and `keys rotate`: what an operator sees while a key is replaced."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import insert

from app import create_app
from app.config import Settings
from app.domain.clock import FakeClock
from app.store.database import Database
from app.store.models import metadata
from app.wiring import build_deps
from tests.builders import a_person
from tests.conftest import MORNING, database_url

OLD = "k1=00112233445566778899aabbccddeeff"
NEW = "k2=ffeeddccbbaa99887766554433221100"


class House:
    """An installation that is restarted with other keys between two commands."""

    def __init__(self, folder: Path, url: str) -> None:
        self._environ = {
            "ANXIN_DATA_DIR": str(folder),
            "ANXIN_DATABASE_URL": url,
            "ANXIN_LOOKUP_KEY": "l" * 32,
        }

    def run(self, keys: str, *words: str) -> tuple[int, str]:
        deps = build_deps(Settings.from_env(self._environ | {"ANXIN_VAULT_KEYS": keys}), FakeClock(MORNING))
        try:
            app = create_app(deps=deps)
            with app.app_context():
                done = app.test_cli_runner(env={"COLUMNS": "100"}).invoke(args=["keys", *words])
            return done.exit_code, done.stdout
        finally:
            deps.speech.close()
            deps.database.close()

    def name_a_person(self, keys: str, database: Database) -> str:
        deps = build_deps(Settings.from_env(self._environ | {"ANXIN_VAULT_KEYS": keys}), FakeClock(MORNING))
        user_id = a_person(database, FakeClock(MORNING))
        with database.write() as tx:
            name = deps.vault.seal(b"name", f"real_names.name:{user_id}")
            tx.execute(insert(metadata.tables["real_names"]).values(user_id=user_id, name=name))
        deps.speech.close()
        deps.database.close()
        return user_id


@pytest.fixture
def house(request: pytest.FixtureRequest, tmp_path: Path) -> House:
    return House(tmp_path / "data", database_url(request, "sqlite", tmp_path))


@pytest.fixture
def rows(house: House, tmp_path: Path) -> Database:
    return Database(f"sqlite:///{tmp_path / 'anxin.db'}")


def test_a_key_is_replaced_step_by_step(house: House, rows: Database) -> None:
    house.name_a_person(OLD, rows)
    code, told = house.run(f"{NEW} {OLD}", "status", "--json")
    standing = json.loads(told)
    assert code == 0 and standing["newest"] == "k2" and standing["configured"] == ["k2", "k1"]
    assert standing["columns"]["real_names.name"] == {"k1": 1} and standing["removable"] == []
    code, told = house.run(f"{NEW} {OLD}", "rotate", "--json")
    assert code == 0
    assert json.loads(told) == {"ok": True, "resealed": 1, "overtaken": 0, "left": 0, "unreadable": []}
    code, told = house.run(f"{NEW} {OLD}", "rotate")
    assert code == 0 and "0 values sealed again, 0 left" in told
    code, told = house.run(f"{NEW} {OLD}", "status")
    assert code == 0 and "nothing is sealed under k1 any more" in told
    code, told = house.run(NEW, "status", "--json")
    assert code == 0 and json.loads(told)["columns"]["real_names.name"] == {"k2": 1}


def test_a_key_that_was_taken_away_too_early_is_seen(house: House, rows: Database) -> None:
    user_id = house.name_a_person(OLD, rows)
    code, told = house.run(NEW, "status", "--json")
    assert code == 1 and json.loads(told)["unknown"] == ["k1"]
    code, told = house.run(NEW, "status")
    assert code == 1 and "NOT CONFIGURED" in told
    code, told = house.run(NEW, "rotate", "--json")
    assert code == 1
    assert json.loads(told)["unreadable"] == [f"real_names.name:{user_id}"]
    assert house.run(f"{NEW} {OLD}", "rotate", "--json")[0] == 0  # given back, it is all right


def test_no_key_is_shown(house: House, rows: Database) -> None:
    house.name_a_person(OLD, rows)
    for words in (("status",), ("rotate",), ("status", "--json"), ("rotate", "--json")):
        told = house.run(f"{NEW} {OLD}", *words)[1]
        assert OLD.split("=")[1] not in told and NEW.split("=")[1] not in told
