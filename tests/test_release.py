"""`./dev release`: refuses what is not ready, and leaves one commit and one tag."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from servers.dovecot import missing

_ROOT = Path(__file__).resolve().parents[1]
_FILES = ("pyproject.toml", "uv.lock", "CHANGELOG.md", "packaging/release", "systemd/requirements.txt")
# Lint, tests and audit are run by those who run this test; the rest is the real thing.
_DEV = """#!/bin/sh
case $1 in
    requirements) cat systemd/requirements.txt ;;
    *) echo "$*" >>.git/ran ;;
esac
"""


@pytest.fixture
def tree(tmp_path) -> Path:
    if shutil.which("uv") is None or shutil.which("git") is None:
        missing("uv or git is not on PATH")
    for name in _FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(_ROOT / name, tmp_path / name)
    (tmp_path / "dev").write_text(_DEV)
    (tmp_path / "dev").chmod(0o755)
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## [Unreleased]\n\n### Added\n- Something.\n")
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "config", "user.email", "maintainer@example.org")
    git(tmp_path, "config", "user.name", "Maintainer")
    commit(tmp_path)
    return tmp_path


def git(tree: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(tree), *words], check=True, capture_output=True, text=True).stdout


def commit(tree: Path) -> None:
    git(tree, "add", ".")
    git(tree, "commit", "-q", "-m", "Work")


def release(tree: Path, version: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", "packaging/release", version]
    return subprocess.run(command, cwd=tree, check=False, capture_output=True, text=True, timeout=100)


def test_a_release_checks_dates_the_changelog_commits_and_tags(tree):
    done = release(tree, "7.1.0")
    assert done.returncode == 0, done.stdout + done.stderr

    assert git(tree, "tag", "--list").split() == ["v7.1.0"]
    assert git(tree, "log", "-1", "--format=%s").strip() == "Release 7.1.0"
    assert git(tree, "status", "--porcelain") == ""
    assert 'version = "7.1.0"' in (tree / "pyproject.toml").read_text()
    assert "## [Unreleased]\n\n## [7.1.0] - 20" in (tree / "CHANGELOG.md").read_text()
    assert (tree / ".git/ran").read_text().split("\n")[:3] == ["lint", "test -q", "audit"]


@pytest.mark.parametrize("version", ["7", "v7.1.0", "7.1.0-rc1", "0.0.9"])
def test_a_version_that_is_none_or_not_after_the_last_is_refused(tree, version):
    assert release(tree, version).returncode == 1
    assert git(tree, "tag", "--list") == ""


def test_a_tree_with_changes_is_refused(tree):
    (tree / "pyproject.toml").write_text((tree / "pyproject.toml").read_text() + "\n")

    assert "not committed" in release(tree, "7.1.0").stderr


def test_a_changelog_with_nothing_to_say_is_refused(tree):
    (tree / "CHANGELOG.md").write_text("# Changelog\n\n## [Unreleased]\n\n## [0.1.0] - 2026-01-01\n- Old.\n")
    commit(tree)

    assert "nothing under Unreleased" in release(tree, "7.1.0").stderr
