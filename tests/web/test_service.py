"""What operators and developers see: readiness, metrics, logs, the API's description, headers."""

from __future__ import annotations

import io
import itertools
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from app.domain.clock import FakeClock
from app.providers.barcode import ZxingBarcodes
from app.web.edge import JsonFormatter
from tests.conftest import MORNING, database_url
from tests.providers.recordings import FIFTY_YUAN
from tests.web.asking import books, fault_of, photograph, say, send
from tests.world import GOOD_CARD, Phone, World, a_key, running_world

_people = itertools.count(1)
# Routes that are for browsers, operators or the sandbox, not for programmers of a client.
UNDESCRIBED = {"/", "/metrics", "/api/docs", "/api/openapi.json"}
UNDESCRIBED_FOLDERS = ("/assets/", "/static/", "/api/docs/", "/sandbox/")


@pytest.fixture(scope="module")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """On SQLite alone: what is described, counted and logged does not know its database."""
    folder = tmp_path_factory.mktemp("world")
    url = database_url(request, "sqlite", folder)
    with running_world(folder, url, FakeClock(MORNING)) as found:
        yield found
        assert isinstance(found.deps.barcodes, ZxingBarcodes)
        found.deps.barcodes.close()


def get(world: World, path: str, **options: Any) -> requests.Response:
    return requests.get(world.base_url + path, timeout=20, **options)


def somebody(world: World) -> Phone:
    return world.elder(f"somebody-{next(_people)}")


# --- without a speech model ---


def test_without_a_speech_model_a_spoken_turn_says_to_use_the_buttons_and_they_work(world: World) -> None:
    elder = somebody(world)
    elder.tap("top_up")
    before = books(world, elder)
    answer = say(elder, FIFTY_YUAN.read_bytes(), a_key())
    assert fault_of(answer) == "speech_unavailable" and answer.json()["next"] == "choose"
    assert "按钮" in answer.json()["say"] and "没有动您的钱" in answer.json()["say"]
    assert books(world, elder) == before
    assert elder.tap("amount:5000")["screen"]["next"] == "confirm"


def test_readiness_names_the_missing_part_and_how_to_get_it_but_people_are_served(world: World) -> None:
    ready = get(world, "/readyz")
    parts = {part["name"]: part for part in ready.json()["parts"]}
    assert ready.status_code == 200 and ready.json()["ready"]  # the buttons work
    assert parts["database"]["ok"] and not parts["speech"]["ok"]
    assert "voice-models install" in parts["speech"]["detail"]
    assert get(world, "/healthz").json() == {"status": "ok"}


# --- the description of the API ---


@pytest.fixture
def spec(world: World) -> dict[str, Any]:
    found: dict[str, Any] = get(world, "/api/openapi.json").json()
    return found


def operations(spec: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in spec["paths"].items():
        for method in item.keys() & {"get", "post", "put", "patch", "delete"}:
            yield path, method, item[method]


def test_every_route_of_the_api_is_described(world: World, spec: dict[str, Any]) -> None:
    described = {(path, method) for path, method, _ in operations(spec)}
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in world.app.url_map.iter_rules()
        if rule.rule not in UNDESCRIBED and not rule.rule.startswith(UNDESCRIBED_FOLDERS)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert described == routes


def test_every_operation_has_a_name_of_its_own_a_summary_and_says_what_it_answers(
    spec: dict[str, Any],
) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(spec)]
    assert len(ids) == len(set(ids))
    for path, method, operation in operations(spec):
        assert operation["summary"], (method, path)
        assert any(status.startswith("2") for status in operation["responses"]), (method, path)
        named = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))


def test_the_description_and_the_edge_agree_on_who_needs_a_session(
    world: World, spec: dict[str, Any]
) -> None:
    assert spec["components"]["securitySchemes"]["session"] == {"type": "http", "scheme": "bearer"}
    for path, method, operation in operations(spec):
        address = path.replace("{order_id}", "ord_01JD0000000000000000000000")
        answer = requests.request(method, world.base_url + address, timeout=20)
        open_to_all = operation.get("security", spec["security"]) == []
        assert (answer.status_code != 401) == open_to_all or "/wechat-pay" in path, path
        assert open_to_all or "401" in operation["responses"]


def test_every_reference_in_the_description_leads_somewhere(spec: dict[str, Any]) -> None:
    def references(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    found = set(references(spec))
    assert found
    for reference in found:
        assert reference.startswith("#/")
        node: Any = spec
        for step in reference[2:].split("/"):
            node = node[step]
        assert isinstance(node, dict)


def test_faults_are_described_as_they_are(world: World, spec: dict[str, Any]) -> None:
    fault = send(somebody(world), "GET", "/api/v1/orders/x").json()
    for path, method, operation in operations(spec):
        for status, response in operation["responses"].items():
            if "/callbacks/" in path and status == "401":
                continue  # WeChat's own shape, asked in the next test
            if int(status) >= 400:
                (reference,) = (content["schema"]["$ref"] for content in response["content"].values())
                shape = spec["components"]["schemas"][reference.rpartition("/")[2]]
                assert set(shape["properties"]) == set(fault), (method, path, status)


def test_a_notice_that_is_not_taken_is_refused_in_the_shape_wechat_reads(
    world: World, spec: dict[str, Any]
) -> None:
    path = "/api/v1/callbacks/wechat-pay"
    refused = requests.post(world.base_url + path, data=b"{}", timeout=20)
    shape = spec["paths"][path]["post"]["responses"]["401"]["content"]["application/json"]["schema"]
    assert refused.status_code == 401 and refused.json()["code"] == "FAIL"
    assert set(shape["required"]) == set(refused.json())


def test_answers_hold_what_their_description_promises(world: World, spec: dict[str, Any]) -> None:
    elder = somebody(world)
    elder.open_order()
    for path in ("/api/v1/cards", "/api/v1/orders", "/api/v1/screen", "/api/v1/subscriptions"):
        response = spec["paths"][path]["get"]["responses"]["200"]
        reference = response["content"]["application/json"]["schema"]["$ref"]
        shape = spec["components"]["schemas"][reference.rpartition("/")[2]]
        answer = elder.ok("GET", path)
        assert set(shape["required"]) <= set(answer) <= set(shape["properties"]), path


def test_the_documentation_page_loads_everything_from_here(world: World) -> None:
    page = get(world, "/api/docs")
    assert page.status_code == 200 and "text/html" in page.headers["Content-Type"]
    loaded = re.findall(r"""(?:src|href)=["']([^"']+)["']""", page.text)
    assert any(address.endswith(".js") for address in loaded)
    for address in loaded:
        assert address.startswith("/") and not address.startswith("//"), address
        assert get(world, address).status_code == 200, address
    assert not re.findall(r"""["'](?:https?:)?//""", page.text)


# --- metrics ---


def test_metrics_can_be_parsed_and_name_no_person(world: World) -> None:
    elder = somebody(world)
    elder.confirm(elder.open_order())
    send(elder, "GET", f"/nowhere/{GOOD_CARD}/13800138000")
    page = get(world, "/metrics")
    families = {family.name: family for family in text_string_to_metric_families(page.text)}
    assert {"anxin_requests", "anxin_request_seconds", "anxin_outbox_waiting", "anxin_alarms_open"} <= set(
        families
    )
    endpoints = {sample.labels["endpoint"] for sample in families["anxin_requests"].samples}
    assert "orders.confirm_order" in endpoints
    known = {rule.endpoint for rule in world.app.url_map.iter_rules()} | {"unknown"}
    assert endpoints <= known  # never a path: those hold ids, and anybody can invent new ones
    assert not re.search(r"\d{11,}", re.sub(r"\d+\.\d+(e[+-]\d+)?", "", page.text))


def test_metrics_count_what_waits_for_the_worker(world: World) -> None:
    elder = somebody(world)
    world.work()
    elder.pay(elder.confirm(elder.open_order()))
    waiting = {
        sample.labels["topic"]: sample.value
        for family in text_string_to_metric_families(get(world, "/metrics").text)
        if family.name == "anxin_outbox_waiting"
        for sample in family.samples
    }
    assert waiting["deliver"] >= 1
    world.work()
    assert 'topic="deliver"' not in get(world, "/metrics").text


# --- logs ---


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything this process logs from DEBUG up, in the form it takes in production."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonFormatter())
    loggers = [logging.getLogger(name) for name in ("app", "anxin")]
    levels = [logger.level for logger in loggers]
    logging.getLogger().addHandler(handler)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    yield written
    logging.getLogger().removeHandler(handler)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_the_log_of_a_whole_main_job_names_nobody_and_holds_no_secret(world: World, log: io.StringIO) -> None:
    phone = Phone(world.base_url, f"somebody-{next(_people)}")
    code = phone.ok("POST", "/sandbox/phone/login", {"person": phone.person})["code"]
    phone.token = phone.ok("POST", "/api/v1/sessions", {"code": code, "channel": "h5"})["token"]
    phone.bind("3104870300000000003")
    phone.accept_receipts()
    say(phone, FIFTY_YUAN.read_bytes(), a_key())
    photograph(phone, b"no photo")
    phone.tap("top_up")
    read_back = phone.tap("amount:5000")["screen"]
    page = {"screen": phone.tap(read_back["choices"][0]["id"])["screen"]}
    assert phone.pay(page) == "requestPayment:ok"
    world.sandbox.send_notice(read_back["order"]["id"], "forged")
    world.work()
    assert phone.order(read_back["order"]["id"])["order"]["truth"] == "credited"
    phone.post("/api/v1/sessions", {"code": code, "channel": "h5"})  # used: refused, and logged
    phone.get("/nowhere", headers={"X-Request-Id": "after-the-job-42"})

    settings = world.deps.settings
    openid = world.sandbox.openid(phone.person)
    secrets = {
        "token": phone.token,
        "session": phone.token.rpartition(".")[0],
        "code": code,
        "card": "3104870300000000003",
        "openid": openid,
        "paySign": page["screen"]["payment"]["paySign"],
        "package": page["screen"]["payment"]["package"],
        "app secret": settings.wechat.app_secret,
        "apiv3 key": settings.wechat.merchant.apiv3_key,
        "card secret": settings.card_system.secret,
        "session key": settings.session_keys[0],
        "Bearer": "Bearer ",
    }
    written = log.getvalue()
    assert len(lines(log)) > 10
    assert {name for name, secret in secrets.items() if secret in written} == set()


def test_every_line_of_a_request_carries_its_id(world: World, log: io.StringIO) -> None:
    elder = somebody(world)
    elder.get("/api/v1/orders", headers={"X-Request-Id": "asked-by-the-phone"})
    world.sandbox.send_notice(elder.confirm(elder.open_order())["order"]["id"], "forged")
    told = [line for line in lines(log) if line["logger"] == "anxin.request"]
    assert told and all(line["request_id"] for line in told)
    (mine,) = [line for line in told if line["request_id"] == "asked-by-the-phone"]
    assert (mine["endpoint"], mine["method"], mine["status"]) == ("orders.list_orders", "GET", "200")
    rejected = [line for line in lines(log) if line["message"] == "notice rejected"]
    assert rejected and all(line["request_id"] and line["reason"] for line in rejected)


# --- headers ---


def test_a_request_id_is_echoed_or_made(world: World) -> None:
    given = get(world, "/healthz", headers={"X-Request-Id": "phone-1234.5_6"})
    assert given.headers["X-Request-Id"] == "phone-1234.5_6"
    made = {get(world, "/healthz").headers["X-Request-Id"] for _ in range(3)}
    assert len(made) == 3 and all(each.startswith("req_") for each in made)


@pytest.mark.parametrize(
    "given", ["short", "x" * 65, "with space", 'quote"quote', "<script>alert(1)</script>"]
)
def test_a_request_id_that_does_not_belong_in_a_log_is_replaced(world: World, given: str) -> None:
    answer = get(world, "/healthz", headers={"X-Request-Id": given})
    assert answer.headers["X-Request-Id"].startswith("req_")


@pytest.mark.parametrize(
    "path", ["/healthz", "/api/v1/about", "/api/v1/orders", "/nowhere", "/api/docs", "/"]
)
def test_every_answer_is_protected_by_its_headers(world: World, path: str) -> None:
    headers = get(world, path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "Access-Control-Allow-Origin" not in headers


def test_answers_about_a_person_are_never_cached(world: World) -> None:
    elder = somebody(world)
    for path in ("/api/v1/orders", "/api/v1/cards", "/api/v1/screen", "/api/v1/orders/x"):
        assert send(elder, "GET", path).headers["Cache-Control"] == "no-store"
    assert "max-age" in get(world, "/api/docs/assets/swagger-ui.css").headers["Cache-Control"]
