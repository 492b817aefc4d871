"""Every table says what becomes of a person's rows in it; every text that is agreed to keeps its words."""

from __future__ import annotations

import hashlib
import re

import pytest

from app.config import REPOSITORY
from app.domain.consents import ConsentText, Purpose, texts
from app.store import models, sealed
from app.store.personal_tables import TABLES, Entry, Erasure
from tests.rules.test_words import assert_speakable

# Version and fingerprint of each text. People agreed to these very words: other words are another version.
WORDS = {
    Purpose.VOICE: (2, "2b444e3933f0"),
    Purpose.VOICE_SAMPLES: (1, "02646a6b6f6d"),
    Purpose.FACE: (2, "d420575c17da"),
    Purpose.CONTACTS: (1, "2dab088cd4dd"),
    Purpose.DAILY_PROFILE: (1, "9481926e1884"),
    Purpose.PROACTIVE_MESSAGES: (1, "73749d3f49e7"),
}
RETENTION = (REPOSITORY / "docs" / "RETENTION.md").read_text()
# Columns that open something or are a person themselves: never in an export as they are.
SECRET = re.compile(r"nonce|lookup|device_key|request_hash|client_key|^code$|bound_to|prepay_id")
SEALED = {(each.table, each.column) for each in sealed.SEALED}
WHOLE_NUMBERS = {"card_number", "openid", "unionid", "payer_openid"}


def fingerprint(text: ConsentText) -> str:
    return hashlib.sha256((text.title + text.spoken).encode()).hexdigest()[:12]


@pytest.mark.parametrize("purpose", Purpose)
def test_a_text_people_agreed_to_changes_only_with_its_version(purpose: Purpose) -> None:
    text = texts()[purpose]
    assert (text.version, fingerprint(text)) == WORDS[purpose]


@pytest.mark.parametrize("purpose", Purpose)
def test_every_consent_can_be_read_aloud_part_by_part(purpose: Purpose) -> None:
    text = texts()[purpose]
    for part in (text.what, text.why, text.how_long, text.take_back):
        assert_speakable(part)
    assert "随时" in text.take_back


def test_every_table_has_its_entry() -> None:
    assert set(TABLES) == set(models.metadata.tables)


@pytest.mark.parametrize(("name", "entry"), TABLES.items())
def test_an_entry_names_columns_there_are_and_no_secret(name: str, entry: Entry) -> None:
    columns = {*entry.shown, *entry.masked, *entry.blank}
    assert columns | set(entry.sealed) <= set(models.metadata.tables[name].c.keys())
    assert not any(SECRET.search(column) for column in entry.shown), "a secret"
    assert not SEALED & {(name, column) for column in columns}, "sealed"
    assert {(name, column) for column in entry.sealed} <= SEALED
    assert not WHOLE_NUMBERS & set(entry.shown), "shown whole"
    assert (name, "id") not in {("sessions", column) for column in entry.shown}


@pytest.mark.parametrize(("name", "entry"), TABLES.items())
def test_a_table_that_points_to_a_person_is_not_called_nobodys(name: str, entry: Entry) -> None:
    points = {key.column.table.name for key in models.metadata.tables[name].foreign_keys}
    assert (entry.erasure is Erasure.NOBODY) == (entry.whose is None)
    assert entry.erasure is not Erasure.NOBODY or "users" not in points


def test_what_is_deleted_stands_before_what_it_points_to() -> None:
    order = list(TABLES)
    for name, entry in TABLES.items():
        if entry.erasure is Erasure.DELETE:
            for key in models.metadata.tables[name].foreign_keys:
                assert order.index(name) < order.index(key.column.table.name)


def test_the_retention_table_lists_every_table_with_the_same_fate() -> None:
    listed = dict(re.findall(r"^\| `(\w+)` \|.*\| (delete|blank|keep|nobody) \|", RETENTION, re.MULTILINE))
    assert listed == {name: entry.erasure.value for name, entry in TABLES.items()}
    for line in RETENTION.splitlines():
        if line.startswith("| `"):
            assert all(cell.strip() for cell in line.strip("|").split("|")), line
