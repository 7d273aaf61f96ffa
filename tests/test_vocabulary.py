"""How phrases are written: `a|b c|d` is a choice of a or b, then of c or d, and not what people mean by it."""

from __future__ import annotations

import itertools
import re
import tomllib

import pytest
from inbox_agent.shipped import shipped

TABLE = tomllib.loads((shipped("rules") / "recognition.toml").read_text(encoding="utf-8"))


def written():
    for name, cue in TABLE["cue"].items():
        for phrase in (*cue["phrases"], *cue.get("unless", ())):
            yield f"{name}: {phrase}", phrase


def muddled(phrase: str) -> bool:
    """Whether two choices that stand side by side share a word: "puis je|pourrais je|serait il"."""
    words = [set(word.split("|")) for word in re.sub(r"\([^)]*\)", "…", phrase).split()]
    return any(len(one) > 1 and len(other) > 1 and one & other for one, other in itertools.pairwise(words))


def test_groups_of_words_are_written_in_parentheses():
    assert [place for place, phrase in written() if muddled(phrase)] == []


@pytest.mark.parametrize("phrase", ["puis je|pourrais je|serait il", "accepteriez vous|acceptez vous|acceptez"])
def test_a_muddled_phrase_is_noticed(phrase):
    assert muddled(phrase)
