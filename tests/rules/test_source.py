"""House rules that a reader of the source can check."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.config import REPOSITORY

SOURCES = sorted((REPOSITORY / "app").rglob("*.py"))
CLOCK_ROOM = REPOSITORY / "app" / "domain" / "clock.py"
CLOCKS = {"datetime.now", "datetime.utcnow", "date.today", "time.time", "datetime.today"}
HAN = re.compile(r"[\u3400-\u9fff]")
LONGEST_FILE = 350
LONGEST_FUNCTION = 70


def name_of(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_money_is_never_a_float_or_a_decimal(path: Path) -> None:
    source = path.read_text()
    assert not re.search(r"\bDecimal\b|from decimal\b", source), "money is integer fen"
    for node in ast.walk(ast.parse(source)):
        annotated = isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None
        if annotated:
            target = node.arg if isinstance(node, ast.arg) else ast.unparse(node.target)
            if "fen" in target.split(".")[-1].split("_"):
                assert "float" not in ast.unparse(node.annotation), f"{target} is a float"
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            assert "fen" not in ast.unparse(node), f"fen are divided into a float: {ast.unparse(node)}"


@pytest.mark.parametrize("path", [p for p in SOURCES if p != CLOCK_ROOM], ids=name_of)
def test_time_is_read_only_in_its_room(path: Path) -> None:
    found = [call for call in calls(ast.parse(path.read_text())) if call in CLOCKS]
    assert found == [], "read the injected Clock at the top of the flow"


def docstrings(tree: ast.AST) -> set[int]:
    """The nodes that are docstrings."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                found.add(id(first.value))
    return found


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_what_people_see_and_hear_lives_in_data_files(path: Path) -> None:
    tree = ast.parse(path.read_text())
    documentation = docstrings(tree)
    spoken = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and len(HAN.findall(node.value)) > 1
        and id(node) not in documentation
        and node.value != "Anxin (安心充)"
    ]
    assert spoken == []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_file_or_function_is_asking_to_be_two(path: Path) -> None:
    source = path.read_text()
    assert len(source.splitlines()) <= LONGEST_FILE
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < LONGEST_FUNCTION, node.name


def test_nothing_we_keep_names_a_registry_or_a_path_of_a_machine() -> None:
    forbidden = re.compile(
        "registry" + r"\.npmjs|files\." + r"pythonhosted|pypi\.org/" + r"simple|(?<![\w.])/work/"
    )
    kept = [
        path
        for folder in ("app", "tests", "docs", "bench", "migrations", "miniprogram/src", "voice_models")
        for path in (REPOSITORY / folder).rglob("*")
        if path != Path(__file__)
        and path.suffix in {".py", ".md", ".toml", ".yaml", ".json", ".ts", ".vue"}
        and "node_modules" not in path.parts
    ]
    kept += [
        REPOSITORY / name for name in ("requirements.txt", "requirements-dev.txt", "Makefile", "README.md")
    ]
    found = [
        name_of(path) for path in kept if path.exists() and forbidden.search(path.read_text(errors="replace"))
    ]
    assert found == []
