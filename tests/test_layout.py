"""Imports go one way: values, then steps, then what composes them; adapters and acting modules know no step."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "inbox_agent"
VALUES = {"message", "application", "decision", "offer", "errors"}
READING = {"parse", "extract", "recognise", "read", "guards", "person", "classify", "rules"}
DECIDING = {"assess", "decide", "archive", "plan", "reply", "digest", "board", "register"}
ACTING = {"fetch", "journal", "execute"}
STDLIB_ONLY = {"message", "application", "decision", "offer", "errors", "ports"}
THIRD_PARTY = {
    "imapclient",
    "sqlalchemy",
    "jinja2",
    "pydantic",
    "typer",
    "rich",
    "lxml",
    "pypdf",
    "docx",
    "apscheduler",
}


def imports(path: Path, *, lazy: bool = True) -> set[str]:
    """Top-level names of packages, and "inbox_agent.x" for our own; those for type checkers do not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = [ast.Pass()]
        if not lazy and isinstance(node, ast.FunctionDef):
            node.body = [ast.Pass()]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def own(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imports(path) if name.startswith("inbox_agent.")}


@pytest.mark.parametrize("name", sorted(VALUES))
def test_a_value_module_knows_values_only(name):
    assert own(PACKAGE / f"{name}.py") <= VALUES


@pytest.mark.parametrize("name", sorted(STDLIB_ONLY))
def test_values_and_ports_need_the_standard_library_alone(name):
    packages = {module.split(".")[0] for module in imports(PACKAGE / f"{name}.py")}

    assert packages & THIRD_PARTY == set()


def test_ports_know_values_only():
    assert own(PACKAGE / "ports.py") <= VALUES


@pytest.mark.parametrize("name", sorted(ACTING))
def test_an_acting_module_imports_no_step(name):
    assert own(PACKAGE / f"{name}.py") & (READING | DECIDING) == set()


@pytest.mark.parametrize("path", sorted((PACKAGE / "adapters").glob("*.py")), ids=lambda path: path.stem)
def test_an_adapter_imports_no_step_and_nothing_that_acts(path):
    assert own(path) & (READING | DECIDING | ACTING | {"cycle", "daemon", "cli"}) == set()


@pytest.mark.parametrize("name", sorted(READING & {path.stem for path in PACKAGE.glob("*.py")}))
def test_a_reading_step_knows_no_history_and_no_world(name):
    assert own(PACKAGE / f"{name}.py") & (DECIDING | ACTING | {"adapters", "cycle", "daemon", "cli"}) == set()


@pytest.mark.parametrize("name", sorted(DECIDING))
def test_a_deciding_step_knows_nothing_that_acts(name):
    assert own(PACKAGE / f"{name}.py") & (ACTING | {"adapters", "cycle", "daemon", "cli", "parse", "extract"}) == set()


def test_the_main_process_never_imports_what_parses_untrusted_octets():
    for name in ("cycle", "daemon", "execute", "fetch", "journal", "installation", "explain", "cli"):
        assert own(PACKAGE / f"{name}.py") & {"parse", "extract", "recognise", "read", "formats"} == set(), name


def test_no_module_has_a_name_that_says_nothing():
    empty = {"manager", "handler", "helper", "helpers", "util", "utils", "common", "base", "data", "info", "misc"}

    assert {path.stem for path in PACKAGE.rglob("*.py")} & empty == set()
