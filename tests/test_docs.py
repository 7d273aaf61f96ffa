"""Documentation is checked: every command is described, every link leads somewhere, no machine is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from inbox_agent.cli import app

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("bench/*.md")])


def commands() -> set[str]:
    group = typer.main.get_command(app)
    return set(group.commands)  # type: ignore[attr-defined]


def test_every_command_is_described_and_no_other():
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    described = set(re.findall(r"(?m)^\| `([a-z-]+)", page))

    assert described == commands()


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_and_option_has_words_of_help(name):
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]

    assert command.help
    for parameter in command.params:
        assert getattr(parameter, "help", None) or parameter.name in {"verbose", "help"}, parameter.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_to_one(page):
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", text)

    broken = [target for target in targets if not (page.parent / target).exists()]
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_names_a_path_of_one_machine(page):
    assert re.findall(r"/work/|/root/|/tmp/pytest|site-packages", page.read_text(encoding="utf-8")) == []
