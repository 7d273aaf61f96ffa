"""Every commit, rename, link, sync, removal and network call passes a named failpoint, and the names are documented."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from inbox_agent import failpoint

PACKAGE = Path(failpoint.__file__).parent
# The modules that act (design section 3), and the adapters. read.py acts in a child: its death is one Unread.
ACTING = (
    *(PACKAGE / f"{name}.py" for name in ("journal", "execute", "fetch", "publish", "report", "cycle", "migrate")),
    *(path for path in sorted((PACKAGE / "adapters").glob("*.py")) if path.name not in {"servers.py", "clock.py"}),
)
# What changes the world so that a crash beside it matters.
CALLS = re.compile(
    r"os\.(fsync|rename|replace|link|unlink|mkdir|write)|shutil\.rmtree|transaction\.commit|socket\.create_connection"
    r"|[\w.()]*\.(rename|rmdir|unlink|fsync)|temporary\.replace|wire\.transmit|verb|sender\.send|mailbox\.(move|append|fetch_to)"
    r"|[\w.]*files\.(put|write)(_all)?|synchronise"
)
# function → why it needs none.
EXEMPT = {
    ("readers.py", "end"): "a folder of a child that is gone; swept at the start",
    ("readers.py", "take"): "the same",
    ("readers.py", "_swept"): "the same",
    ("imap.py", "fetch_to"): "an empty file of the spool, swept at the end of a pass",
    ("publish.py", "_write_records"): "rebuilt whole at the next pass; the store's own points are in files.py",
    ("publish.py", "_write_register"): "the same",
    ("publish.py", "_write_board"): "the same",
    ("execute.py", "_file"): "what it puts passes one for each act",
    ("files.py", "give_up"): "a temporary file; the next attempt replaces it",
    ("files.py", "_synchronise"): "the step before it passes one for each file",
    ("fetch.py", "_spool_all"): "what it follows passes one for each file",
    ("smtp.py", "transmit"): "called by send, which names what is sent",
}


def functions(path: Path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            inner = {child for part in node.body for child in ast.walk(part)}
            nested = {
                below
                for child in inner
                if isinstance(child, ast.FunctionDef)
                for part in child.body
                for below in ast.walk(part)
            }
            yield node, [child for child in inner - nested if isinstance(child, ast.Call)]


def names_in(path: Path) -> dict[str, list[str]]:
    """Name of a failpoint → functions that pass it; the variable part of a name is "*"."""
    found: dict[str, list[str]] = {}
    for function, calls in functions(path):
        for call in calls:
            if ast.unparse(call.func) == "reach":
                name = re.sub(r"\{.*?\}", "*", re.sub(r"^f?['\"]|['\"]$", "", ast.unparse(call.args[0])))
                found.setdefault(name, []).append(function.name)
    return found


@pytest.mark.parametrize("path", ACTING, ids=lambda path: path.name)
def test_whatever_changes_the_world_passes_a_named_point_first(path):
    nameless = []
    for function, calls in functions(path):
        if (path.name, function.name) in EXEMPT:
            continue
        points = [call.lineno for call in calls if ast.unparse(call.func) == "reach"]
        for call in calls:
            said = ast.unparse(call.func)
            if CALLS.fullmatch(said) and not any(line <= call.lineno for line in points):
                nameless.append(f"{path.name}:{call.lineno} {function.name}: {said}")
    assert nameless == []


def test_the_rule_sees_a_call_without_a_point():
    tree = "def careless(path):\n    path.rename('x')\n"
    call = next(node for node in ast.walk(ast.parse(tree)) if isinstance(node, ast.Call))
    assert CALLS.fullmatch(ast.unparse(call.func))


def test_no_exemption_is_left_over():
    known = {(path.name, function.name) for path in ACTING for function, _ in functions(path)}
    assert set(EXEMPT) <= known


def test_a_name_stands_for_one_place():
    places = [(name, path.name, where) for path in ACTING for name, who in names_in(path).items() for where in who]
    names = [name for name, _, _ in places]
    # The spool is written in two ways, a small message and a large one.
    twice = {name for name in names if names.count(name) > 1} - {"spool.fsync.before", "spool.rename.before"}
    assert twice == set()


def test_the_documentation_names_every_point_and_no_other():
    text = (PACKAGE.parent / "docs" / "reliability.md").read_text(encoding="utf-8")
    table = text.partition("## Failpoints")[2].partition("\n## ")[0]
    documented = {name for name in re.findall(r"`([a-z_.*]+)`", table) if "." in name and not name.endswith(".py")}
    in_code = {name for path in ACTING for name in names_in(path)}
    assert documented == in_code


def test_every_transaction_has_a_name_of_its_own_kind():
    names = []
    for path in PACKAGE.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(".transaction"):
                assert isinstance(call.args[0], ast.Constant), f"{path.name}:{call.lineno}"
                names.append(call.args[0].value)
    assert len(names) > 20
    assert all(re.fullmatch("[a-z_]+", name) for name in names)


def test_an_unknown_fault_is_an_error_and_not_silence(monkeypatch):
    monkeypatch.setattr(failpoint, "_PLAN", "here:1:explode")
    monkeypatch.setattr(failpoint, "_reached", failpoint.Counter())
    with pytest.raises(ValueError, match="explode"):
        failpoint.reach("here")
