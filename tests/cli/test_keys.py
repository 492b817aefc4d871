"""`keys status` and `keys rotate`: what an operator sees while a key is replaced."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from app import create_app
from app.config import Settings
from app.domain.clock import FakeClock
from app.flows.deps import Deps
from app.ports import Vault
from app.store.database import Database
from app.store.models import metadata
from app.wiring import build_deps
from tests.builders import a_person
from tests.conftest import MORNING, database_url

OLD = "k1=00112233445566778899aabbccddeeff"
NEW = "k2=ffeeddccbbaa99887766554433221100"
OLD_LOOKUP, NEW_LOOKUP = f"l1={'l' * 32}", f"l2={'m' * 32}"


class House:
    """An installation that is restarted with other keys between two commands."""

    def __init__(self, folder: Path, url: str) -> None:
        self._environ = {
            "ANXIN_DATA_DIR": str(folder),
            "ANXIN_DATABASE_URL": url,
        }

    def _deps(self, keys: str, lookup_keys: str = OLD_LOOKUP) -> Deps:
        environ = self._environ | {"ANXIN_VAULT_KEYS": keys, "ANXIN_LOOKUP_KEYS": lookup_keys}
        return build_deps(Settings.from_env(environ), FakeClock(MORNING))

    def run(self, keys: str, *words: str, lookup_keys: str = OLD_LOOKUP) -> tuple[int, str]:
        deps = self._deps(keys, lookup_keys)
        try:
            app = create_app(deps=deps)
            with app.app_context():
                done = app.test_cli_runner(env={"COLUMNS": "100"}).invoke(args=["keys", *words])
            return done.exit_code, done.stdout
        finally:
            deps.speech.close()
            deps.database.close()

    def vault(self, keys: str, lookup_keys: str) -> Vault:
        deps = self._deps(keys, lookup_keys)
        deps.speech.close()
        deps.database.close()
        return deps.vault

    def name_a_person(self, keys: str, database: Database) -> str:
        deps = self._deps(keys)
        user_id = a_person(database, FakeClock(MORNING))
        values = {"phone_lookup": deps.vault.lookup("13800000216", "real_names.phone")}
        for column, plain in {"name": b"name", "phone": b"13800000216"}.items():
            values[column] = deps.vault.seal(plain, f"real_names.{column}:{user_id}")
        with database.write() as tx:
            tx.execute(insert(metadata.tables["real_names"]).values(user_id=user_id, **values))
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
    assert json.loads(told) == {"ok": True, "resealed": 2, "overtaken": 0, "left": 0, "unreadable": []}
    code, told = house.run(f"{NEW} {OLD}", "rotate")
    assert code == 0 and "0 values sealed again, 0 left" in told
    code, told = house.run(f"{NEW} {OLD}", "status")
    assert code == 0 and "nothing needs k1 any more" in told
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
    assert json.loads(told)["unreadable"] == [f"real_names.{each}:{user_id}" for each in ("name", "phone")]
    assert house.run(f"{NEW} {OLD}", "rotate", "--json")[0] == 0  # given back, it is all right


def test_a_lookup_key_is_replaced_step_by_step(house: House, rows: Database) -> None:
    house.name_a_person(OLD, rows)
    both = f"{NEW_LOOKUP} {OLD_LOOKUP}"
    code, told = house.run(OLD, "status", "--json", lookup_keys=both)
    standing = json.loads(told)["lookups"]
    assert code == 0 and standing["newest"] == "l2" and standing["configured"] == ["l2", "l1"]
    assert standing["columns"]["real_names.phone_lookup"] == {"l1": 1} and standing["removable"] == []
    code, told = house.run(OLD, "rotate", "--json", lookup_keys=both)
    assert code == 0 and json.loads(told)["resealed"] == 1  # the name has none
    with rows.read() as tx:
        lookup = tx.execute(select(metadata.tables["real_names"].c.phone_lookup)).scalar_one()
    vault = house.vault(OLD, NEW_LOOKUP)
    assert lookup == vault.lookup("13800000216", "real_names.phone")
    code, told = house.run(OLD, "status", lookup_keys=both)
    assert code == 0 and "nothing needs l1 any more: it may be taken from ANXIN_LOOKUP_KEYS" in told
    assert house.run(OLD, "status", lookup_keys=NEW_LOOKUP)[0] == 0
    code, told = house.run(OLD, "status", "--json", lookup_keys=OLD_LOOKUP)
    assert code == 1 and json.loads(told)["lookups"]["unknown"] == ["l2"]


def test_both_kinds_of_key_are_replaced_at_once(house: House, rows: Database) -> None:
    house.name_a_person(OLD, rows)
    code, told = house.run(f"{NEW} {OLD}", "rotate", "--json", lookup_keys=f"{NEW_LOOKUP} {OLD_LOOKUP}")
    assert code == 0 and json.loads(told)["resealed"] == 2
    code, told = house.run(NEW, "status", "--json", lookup_keys=NEW_LOOKUP)
    assert code == 0 and json.loads(told)["lookups"]["unknown"] == []


def test_no_key_is_shown(house: House, rows: Database) -> None:
    house.name_a_person(OLD, rows)
    for words in (("status",), ("rotate",), ("status", "--json"), ("rotate", "--json")):
        told = house.run(f"{NEW} {OLD}", *words)[1]
        assert OLD.split("=")[1] not in told and NEW.split("=")[1] not in told
