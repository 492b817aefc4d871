"""Nine cities as data: what PRODUCT.md says of each, and files whose every fault is told at once."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.config import REPOSITORY
from app.domain.cities import (
    FOLDER,
    CardKind,
    Channel,
    City,
    Clearing,
    Dialect,
    FaultyCity,
    IdentityRule,
    MethodName,
    Service,
    Writing,
    cities,
)

NAMES = ("beijing", "chengdu", "guangzhou", "hangzhou", "lanzhou", "shanghai", "shenzhen", "wenzhou", "wuhan")
ISSUERS = REPOSITORY / "tests" / "data" / "vectors" / "tunion_format_and_cities.json"
IIN = {  # of those vectors, for when they are not here
    "shanghai": ("31047700", "上海公共交通卡"),
    "hangzhou": ("31048801", "杭州通"),
    "wenzhou": ("31048800", "温州公交IC卡"),
    "guangzhou": ("31048703", "羊城通"),
    "lanzhou": ("31049000", "兰州交通联合卡"),
    "shenzhen": ("31048704", "深圳通"),
    "wuhan": ("31051400", "武汉通"),
    "beijing": ("31051700", "京津冀互联互通卡"),
    "chengdu": ("31047800", "天府通"),
}


def test_there_are_nine_cities() -> None:
    assert tuple(cities()) == NAMES == tuple(city.name for city in cities().values())


@pytest.mark.parametrize("name", NAMES)
def test_a_city_has_the_card_and_the_number_range_of_its_issuer(name: str) -> None:
    city = cities()[name]
    assert (city.card_prefixes, city.card_name) == ((IIN[name][0],), IIN[name][1])


def test_the_issuers_are_those_of_the_published_table() -> None:
    rows = json.loads(ISSUERS.read_text("utf-8"))["cities"]
    told = {row["zh"]: (row["iin8"], row["card_name"]) for row in rows}
    assert told == {city.label: (city.card_prefixes[0], city.card_name) for city in cities().values()}


# --- PRODUCT.md, "Cities", row by row ---


def test_shanghai_has_a_menu_of_two_levels_four_steps_and_takes_real_name_cards_only() -> None:
    entry = cities()["shanghai"].entry
    assert (entry.channel, entry.menu_depth, entry.steps) == (Channel.OA_MENU, 2, 4)
    assert entry.identity is IdentityRule.REAL_NAME


def test_hangzhou_starts_at_the_mini_programs_home_in_three_steps_with_a_face_check_on_first_use() -> None:
    entry = cities()["hangzhou"].entry
    assert (entry.channel, entry.menu_depth, entry.steps) == (Channel.MINI_PROGRAM, 1, 3)
    assert (entry.identity, entry.identity_days) == (IdentityRule.FACE_FIRST_USE, 180)


def test_wenzhou_has_a_secondary_menu_five_steps_and_verifies_the_bank_card_once() -> None:
    city = cities()["wenzhou"]
    assert (city.entry.menu_depth, city.step_budget) == (2, 5)
    assert city.entry.identity is IdentityRule.BANK_CARD_FIRST_USE
    assert city.method("bank_card") is not None


def test_guangzhou_clears_in_real_time_lanzhou_in_batches_and_the_others_by_the_clock() -> None:
    others = {name: city.clearing for name, city in cities().items()}
    assert others.pop("guangzhou") is Clearing.REALTIME and others.pop("lanzhou") is Clearing.BATCH
    assert set(others.values()) == {Clearing.STANDARD}


def test_shenzhen_has_two_active_sites_a_standby_and_chip_cards_loaded_by_nfc() -> None:
    city = cities()["shenzhen"]
    assert (city.service.active_sites, city.service.standby_sites) == (2, 1)
    assert city.card_kinds == (CardKind.CHIP,) and city.writing == (Writing.NFC,)
    assert all(each.card_kinds == (CardKind.ACCOUNT,) for each in cities().values() if each is not city)


def test_wuhan_queues_and_beijing_splits_its_reads_and_answers_writes_within_200_ms() -> None:
    assert cities()["wuhan"].service == Service(queue=True)
    assert cities()["beijing"].service == Service(split_reads=True, write_p99_ms=200)


def test_chengdu_offers_its_own_dialect_first() -> None:
    assert cities()["chengdu"].dialects[0] is Dialect.CHENGDU


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"shanghai", "wenzhou"}))
def test_without_a_budget_of_its_own_a_city_keeps_to_three_steps(name: str) -> None:
    assert cities()[name].step_budget == 3


# --- ways to pay ---


def every_method(city: City) -> dict[str, tuple[int, int]]:
    return {method.name: (method.min_fen, method.max_fen) for method in (*city.methods, *city.methods_off)}


@pytest.mark.parametrize("name", NAMES)
def test_the_limits_of_every_method_are_those_of_the_table(name: str) -> None:
    assert every_method(cities()[name]) == {
        "wechat_balance": (5_000, 200_000),
        "bank_card": (10_000, 500_000),
        "credit_card": (30_000, 100_000),
    }
    large = cities()[name].large
    assert (large.single_fen, large.day_fen) == (100_000, 200_000)


def test_every_city_takes_the_balance_and_some_take_no_credit_or_bank_card() -> None:
    off = {city.name: [method.name for method in city.methods_off] for city in cities().values()}
    assert {name for names in off.values() for name in names} == {"bank_card", "credit_card"}
    assert off["lanzhou"] == ["bank_card", "credit_card"] and off["guangzhou"] == []
    assert all(city.methods[0].name == "wechat_balance" for city in cities().values())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", MethodName)
def test_a_method_that_is_off_is_not_found(name: str, method: MethodName) -> None:
    city = cities()[name]
    offered = method in [each.name for each in city.methods]
    assert (city.method(method.value) is not None) is offered
    assert method.value not in [each.name for each in city.methods_off] or not offered
    assert city.method("cash") is None


# --- faulty files ---

GOOD = (FOLDER / "guangzhou.toml").read_text("utf-8").replace('accepts = ["wuhan"]', "accepts = []")
BATCH = '[batch]\ncut_offs = ["11:00", "23:00"]\nprocessing_minutes = 1\n'


def faults_of(folder: Path, **files: str | bytes) -> list[str]:
    for stem, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / f"{stem}.toml").write_bytes(data)
    with pytest.raises(FaultyCity) as refused:
        cities(folder)
    assert all(fault in str(refused.value) for fault in refused.value.faults)
    return refused.value.faults


def test_a_tenth_city_is_only_a_file(tmp_path: Path) -> None:
    for path in FOLDER.glob("*.toml"):
        shutil.copy(path, tmp_path)
    tenth = GOOD.replace('"guangzhou"', '"foshan"').replace("31048703", "31048799")
    (tmp_path / "foshan.toml").write_text(tenth)
    assert set(cities(tmp_path)) == {*NAMES, "foshan"}


@pytest.mark.parametrize(
    ("good", "bad", "told"),
    [
        ('name = "guangzhou"', 'name = "canton"', "guangzhou: name is 'canton', not the file's own"),
        ('name = "guangzhou"\n', "", "guangzhou: name is missing"),
        ('label = "广州"', "label = 20", "guangzhou: label is 20, not a text"),
        ('label = "广州"', 'label = ""', "guangzhou: label is empty"),
        ('label = "广州"', 'label = "广州\\n"', "guangzhou: label is '广州\\n', not a plain line of text"),
        ('"31048703"', '"3104870"', "guangzhou: card_prefixes has '3104870', not 8 digits"),
        ('"31048703"', '"３１０４８７０３"', "card_prefixes has '３１０４８７０３', not 8 digits"),
        ('["31048703"]', '["31048703", "31048703"]', "card_prefixes has '31048703' twice"),
        ('["31048703"]', "[]", "guangzhou: card_prefixes has none"),
        ('["31048703"]', '"31048703"', "guangzhou: card_prefixes is '31048703', not a list"),
        (
            'region = "pearl_delta"',
            'region = "moon"',
            "guangzhou: region is 'moon', not one of yang",
        ),
        ('hotline = "96900"', 'hotline = "call us"', "guangzhou: hotline is 'call us', not a telephone"),
        ('"cantonese", "mandarin"', '"klingon", "mandarin"', "dialects is 'klingon', not one of mandarin"),
        ('"cantonese", "mandarin"', '"mandarin", "mandarin"', "guangzhou: dialects names one twice"),
        ('["cantonese", "mandarin"]', "[]", "guangzhou: dialects names none"),
        ('clearing = "realtime"', 'clearing = "soon"', "clearing is 'soon', not one of realtime, standard"),
        ('clearing = "realtime"', "", "guangzhou: clearing is missing"),
        ('clearing = "realtime"', 'clearing = "batch"', "guangzhou: batch is missing"),
        ("[entry]", BATCH + "[entry]", "guangzhou: batch belongs to clearing = 'batch'"),
        ("[entry]\n", "[entry]\ntaste = 1\n", "guangzhou: entry: unknown key 'taste'"),
        ("steps = 3", "steps = 0", "guangzhou: entry: steps is 0, not 1..5"),
        ("steps = 3", "steps = 6", "guangzhou: entry: steps is 6, not 1..5"),
        ("steps = 3", "steps = 3.0", "guangzhou: entry: steps is 3.0, not a whole number"),
        ("steps = 3", "steps = true", "guangzhou: entry: steps is True, not a whole number"),
        ("menu_depth = 1", "menu_depth = 9", "guangzhou: entry: menu_depth is 9, not 1..3"),
        ('channel = "mini_program"', 'channel = "fax"', "entry: channel is 'fax', not one of oa_menu"),
        ('identity = "none"', 'identity = "dna"', "entry: identity is 'dna', not one of none, real_name"),
        ('identity = "none"', 'identity = "face_first_use"', "entry: identity_days is missing"),
        ('identity = "none"', 'identity = "none"\nidentity_days = 9', "unknown key 'identity_days'"),
        ('modes = ["account"]', 'modes = ["paper"]', "cards: modes is 'paper', not one of account, chip"),
        ('modes = ["account"]', 'modes = ["chip"]', "guangzhou: cards: writing is missing"),
        ('modes = ["account"]', 'modes = ["account"]\nwriting = ["nfc"]', "cards: unknown key 'writing'"),
        ("single_fen = 100000", "single_fen = 300000", "day_fen 200000 is less than single_fen 300000"),
        ("[large_payment]\nsingle_fen = 100000\nday_fen = 200000\n", "", "large_payment is missing"),
        ("accepts = []", 'accepts = ["guangzhou"]', "guangzhou: cross_region accepts the city itself"),
        ("accepts = []", 'accepts = ["atlantis"]', "cross_region accepts 'atlantis', which has no file"),
        ("[[methods]]", "[service]\nqueue = 1\n[[methods]]", "service: queue is 1, not true or false"),
        ("[[methods]]", "[service]\nfast = true\n[[methods]]", "service: unknown key 'fast'"),
        ('name = "wechat_balance"', 'name = "cowrie"', "methods 1: name is 'cowrie', not one of wechat_bal"),
        ('name = "credit_card"', 'name = "bank_card"', "methods 3 (bank_card): bank_card is there twice"),
        (
            "min_fen = 5000",
            "min_fen = 200001",
            "min_fen 200001 is more than max_fen 200000",
        ),
        ("min_fen = 5000", "min_fen = 0", "methods 1 (wechat_balance): min_fen is 0, not 1..10000000"),
        ("max_fen = 200000", "max_fen = '2000'", "max_fen is '2000', not a whole number"),
        ("bps = 20", "bps = 10000", "methods 2 (bank_card): fees 3: bps is 10000, not 0..9999"),
        ("bps = 20", "bps = -1", "methods 2 (bank_card): fees 3: bps is -1, not 0..9999"),
        ("cap_fen = 500", "cap_fen = 9", "fees 3: min_fen 10 is more than cap_fen 9"),
        ('bank = "ccb"', 'bank = "icbc"', "methods 2 (bank_card): fees name a bank twice"),
        ('bank = "other"', 'bank = "abc"', "methods 2 (bank_card): fees lack the bank 'other'"),
        ('bank = "icbc"', 'bank = "Bank of X"', "fees 1: bank is 'Bank of X', not 2 to 16 small letters"),
        ("enabled = true", "enabled = 1", "methods 1 (wechat_balance): enabled is 1, not true or false"),
        (
            "max_fen = 200000\n",
            'max_fen = 200000\nfees = [{bank="other", bps=1, min_fen=0, cap_fen=1}]\n',
            "methods 1 (wechat_balance): the balance is free: it has no fees",
        ),
        (
            "max_fen = 200000\n",
            "max_fen = 200000\nfees = [1]\n",
            "fees 1 is 1, not a table",
        ),
        ('name = "guangzhou"', 'name = "guangzhou"\nsurprise = 1', "guangzhou: unknown key 'surprise'"),
    ],
)
def test_a_fault_is_told_with_its_place_and_nothing_else_is(
    tmp_path: Path, good: str, bad: str, told: str
) -> None:
    assert good in GOOD
    found = faults_of(tmp_path, guangzhou=GOOD.replace(good, bad, 1))
    assert len(found) == 1 and told in found[0], found


@pytest.mark.parametrize(
    ("cut_offs", "minutes", "told"),
    [
        ('["23:30"]', 1, "arrives after 1 day, 0:01:00, later than 12:00:00"),
        ('["11:00", "23:00"]', 1, "arrives after 12:01:00, later than 12:00:00"),
        ('["07:00", "15:00", "23:00"]', 241, "arrives after 12:01:00"),
        ('["15:00", "07:00", "23:00"]', 1, "cut_offs are not in the order of the day"),
        ('["07:00", "24:00"]', 1, "cut_offs has '24:00', not a time such as 16:00"),
        ('["7:00", "15:00", "23:00"]', 1, "cut_offs has '7:00'"),
        ("[]", 1, "cut_offs has none"),
        ('["07:00", "15:00", "23:00"]', 0, "processing_minutes is 0, not 1..1440"),
    ],
)
def test_a_batch_that_could_come_later_than_twelve_hours_is_a_fault(
    tmp_path: Path, cut_offs: str, minutes: int, told: str
) -> None:
    batch = f"[batch]\ncut_offs = {cut_offs}\nprocessing_minutes = {minutes}\n[entry]"
    text = GOOD.replace('clearing = "realtime"', 'clearing = "batch"').replace("[entry]", batch)
    found = faults_of(tmp_path, guangzhou=text)
    assert any(told in fault for fault in found), found


def test_a_batch_of_exactly_twelve_hours_is_none(tmp_path: Path) -> None:
    batch = '[batch]\ncut_offs = ["07:00", "15:00", "23:00"]\nprocessing_minutes = 240\n[entry]'
    text = GOOD.replace('clearing = "realtime"', 'clearing = "batch"').replace("[entry]", batch)
    (tmp_path / "guangzhou.toml").write_text(text)
    assert cities(tmp_path)["guangzhou"].batch is not None


def test_every_fault_of_every_file_is_listed_at_once(tmp_path: Path) -> None:
    shenzhen = (FOLDER / "shenzhen.toml").read_text("utf-8")
    guangzhou = GOOD.replace("accepts = []", 'accepts = ["shenzhen", "broken"]').replace(
        "steps = 3", "steps = 7"
    )
    twin = GOOD.replace('name = "guangzhou"', 'name = "twin"\nsurprise = 1').replace(
        "min_fen = 5000", "min_fen = -1"
    )
    found = faults_of(
        tmp_path,
        guangzhou=guangzhou,
        twin=twin,
        shenzhen=shenzhen,
        broken="name = [unclosed",
        binary=b"\xff\xfe\x00",
        empty="",
        deep="x = " + "[" * 100_000,
    )
    for told in (
        "guangzhou: entry: steps is 7, not 1..5",
        "twin: unknown key 'surprise'",
        "twin: methods 1 (wechat_balance): min_fen is -1, not 1..10000000",
        "card prefix 31048703 belongs to guangzhou and twin",
        "guangzhou: cross_region accepts 'shenzhen', whose cards are chips only",
        "broken.toml: not TOML: ",
        "binary.toml: not UTF-8",
        "deep.toml: not TOML: ",
        *(f"empty: {key} is missing" for key in ("name", "label", "card_prefixes", "clearing", "methods")),
    ):
        assert any(fault.startswith(told) for fault in found), told
    assert not any("'broken', which has no file" in fault for fault in found)
    assert len(found) == len(set(found))


def test_a_folder_without_a_city_is_a_fault(tmp_path: Path) -> None:
    assert faults_of(tmp_path) == [f"no city in {tmp_path}"]


def test_a_file_that_cannot_be_opened_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    assert faults_of(tmp_path) == ["folder.toml: Is a directory"]


def test_with_no_method_on_nobody_could_pay(tmp_path: Path) -> None:
    off = GOOD.replace("enabled = true", "enabled = false")
    assert faults_of(tmp_path, guangzhou=off) == ["guangzhou: no payment method is enabled"]


def test_the_application_does_not_start_with_a_faulty_city_and_says_why_with_all_else(tmp_path: Path) -> None:
    app = tmp_path / "app"
    shutil.copytree(REPOSITORY / "app" / "domain", app / "domain")
    for name in ("errors.py", "config.py", "config_groups.py", "config_vault.py", "copy"):
        source = REPOSITORY / "app" / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, app / name)
    (app / "domain" / "cities" / "atlantis.toml").write_text("steps = 3\nname = 'elsewhere'\n")
    asked = "from app.config import Settings; Settings.from_env({'ANXIN_LOG_LEVEL': 'LOUD'})"
    started = subprocess.run(
        [sys.executable, "-c", asked], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert started.returncode == 1
    assert "FaultySettings" in started.stderr and "ANXIN_LOG_LEVEL is 'LOUD'" in started.stderr
    assert "atlantis: unknown key 'steps'" in started.stderr
    assert "atlantis: name is 'elsewhere', not the file's own" in started.stderr
