"""Fit rules/second_look.toml to the labelled messages: `uv run --with scikit-learn python tests/fit_second_look.py`.

Prints, for messages that each fit had not seen, how often the second look is right, and how often it would hand an
application to a person for nothing. Doubtful labels are left out. Of exams whose messages are too large to be kept
here, tests/second_look_exams.txt has what was found in each, a line a message; `--keep FOLDER` adds those of a folder
of labelled messages that has its rules beside it.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold

_HERE = Path(__file__).parent
sys.path.insert(0, str(_HERE.parent))

from inbox_agent import recognise  # noqa: E402 - from the checkout, whatever is installed
from inbox_agent.application import Kind  # noqa: E402
from inbox_agent.given_names import GIVEN_NAMES  # noqa: E402
from inbox_agent.offer import Staff  # noqa: E402
from inbox_agent.offers import load_offers  # noqa: E402
from inbox_agent.read import read  # noqa: E402
from inbox_agent.rules import load_rules  # noqa: E402
from inbox_agent.second_look import findings  # noqa: E402

FOLDERS = (_HERE / "messages", *sorted((_HERE / "exams").glob("*/")))
KEPT = _HERE / "second_look_exams.txt"
LIMITS = {"unlike": 0.15, "alike": 0.7, "leans": 0.4, "sure": 0.85, "certain": 0.97, "likelier": 3.0}
KINDS = (Kind.APPLICATION, Kind.FOLLOW_UP, Kind.ENQUIRY, Kind.WITHDRAWAL, Kind.OTHER, Kind.AUTOMATIC, Kind.BULK)
_CANDIDATES = (Kind.APPLICATION, Kind.FOLLOW_UP, Kind.WITHDRAWAL)
_SLIGHT = 0.1  # logit; less moves nothing
_MISSED = 0.3  # of the cues
_OFTEN = 3  # messages; rarer words say more of those who wrote them than of what they wanted.
_HEAD = """\
# A second look at a person's mail (inbox_agent/second_look.py): where the rules hesitate it tips the scale, and where
# everything that was found at once contradicts them it is heard. Made by tests/fit_second_look.py from {count} labelled
# messages; nobody edits the weights by hand. They are logits: what makes a kind more likely is positive. "word.…" is a
# word of the text, "title.…" of the subject, "asked.…" of a question, "quoted.…" of what is answered.

[limits]  # probabilities, but the last
unlike = {unlike}  # an application by the rules is for a person below
alike = {alike}  # other mail by the rules is for a person above
leans = {leans}  # where the rules hesitate over words, it tips the scale from here on
sure = {sure}  # where they hesitate over papers
certain = {certain}  # other mail by the rules that brings a CV is an application from here on
likelier = {likelier}  # so many times likelier than the rules’ kind, another that is no application wins

[weights]
kinds = [{kinds}]
table = \"""
"""


def main() -> None:
    if sys.argv[1:2] == ["--keep"]:
        keep([Path(folder) for folder in sys.argv[2:]])
        return
    seen, kinds = examples()
    truth = np.array(kinds)
    of_candidate = np.isin(truth, _CANDIDATES)
    chances = np.zeros((len(truth), len(KINDS)))
    for known, unseen in KFold(8, shuffle=True, random_state=1).split(seen):
        names, fitted = fit([seen[at] for at in known], truth[known])
        order = [list(fitted.classes_).index(kind) for kind in KINDS]
        chances[unseen] = fitted.predict_proba(names.transform([counted(seen[at]) for at in unseen]))[:, order]
    meant = np.array([KINDS[at] for at in chances.argmax(1)])
    likeness = chances[:, [KINDS.index(kind) for kind in _CANDIDATES]].sum(1)
    say(f"{len(truth)} messages, unseen by their fit: {(meant == truth).mean():.1%} of the right kind")
    sure = chances.max(1) >= LIMITS["certain"]
    say(f"sure of {sure.mean():.0%}, of which {(meant == truth)[sure].mean():.1%} are right")
    say(f"of {of_candidate.sum()} of candidates {(of_candidate & (likeness < LIMITS['unlike'])).sum()} look like none")
    say(f"of {(~of_candidate).sum()} others {(~of_candidate & (likeness > LIMITS['alike'])).sum()} look like one")
    names, fitted = fit(seen, truth)
    order = [list(fitted.classes_).index(kind) for kind in KINDS]
    rows = {"start": fitted.intercept_[order]} | {
        name: fitted.coef_[order, at]
        for at, name in enumerate(names.feature_names_)
        if np.abs(fitted.coef_[:, at]).max() >= _SLIGHT
    }
    head = _HEAD.format(count=len(truth), kinds=", ".join(f'"{kind.value}"' for kind in KINDS), **LIMITS)
    lines = [f"{name} {' '.join(f'{weight:.2f}' for weight in rows[name])}" for name in sorted(rows)]
    (_HERE.parent / "rules" / "second_look.toml").write_text(head + "\n".join(lines) + '\n"""\n', encoding="utf-8")


def counted(seen: frozenset[str]) -> dict[str, int]:
    return dict.fromkeys(seen, 1)


def fit(seen: list[frozenset[str]], truth: np.ndarray) -> tuple[DictVectorizer, LogisticRegression]:
    """C from 0.5 to 3 gives the same within a percent, as do pairs of words and whole words for stems.

    Each message is learnt from twice, the second time with cues missing: in mail that nobody has read they are found
    less often than in that for which they were written.
    """
    often = Counter(name for one in seen for name in one)
    kept = [{name: 1 for name in sorted(one) if often[name] >= _OFTEN} for one in seen]
    chance = random.Random(3)  # noqa: S311 no secret
    kept += [{name: 1 for name in one if name[:4] != "cue." or chance.random() > _MISSED} for one in kept]
    names = DictVectorizer()
    labels = [Kind(kind).value for kind in truth] * 2
    return names, LogisticRegression(C=1.0, max_iter=1000).fit(names.fit_transform(kept), labels)


def examples() -> tuple[list[frozenset[str]], list[Kind]]:
    """What is found in each labelled message that a person wrote, and its kind."""
    found = [one for folder in FOLDERS for one in found_in(folder, folder / "rules")]
    for line in KEPT.read_text(encoding="utf-8").splitlines():
        kind, *names = line.split()
        found.append((frozenset(names), Kind(kind)))
    found = [(names, kind) for names, kind in found if kind is not Kind.DOUBT and kind in KINDS]
    return [names for names, _ in found], [kind for _, kind in found]


def found_in(folder: Path, rules_folder: Path) -> list[tuple[frozenset[str], Kind]]:
    caught = []
    whole = recognise._person

    def watched(case, sight):
        caught.append(findings(sight))
        return whole(case, sight)

    recognise._person = watched
    rules, offers = load_rules(rules_folder), load_offers(rules_folder)
    found = []
    for path in sorted(folder.glob("*.eml")):
        kind = Kind(json.loads(path.with_suffix(".json").read_text())["kind"])
        caught.clear()
        read(path.read_bytes(), rules, offers, Staff.of(offers))
        found += [(frozenset(name for name in caught[0] if not of_a_person(name)), kind)] if caught else []
    recognise._person = whole
    say(f"{folder.name}: {len(found)}")
    return found


def of_a_person(name: str) -> bool:
    place, _, word = name.partition(".")
    return place in ("word", "title", "asked", "first", "last", "quoted") and word in GIVEN_NAMES


def keep(folders: list[Path]) -> None:
    with KEPT.open("a", encoding="utf-8") as kept:
        for folder in folders:
            rules = folder / "rules" if (folder / "rules").is_dir() else folder.parent / "rules"
            for names, kind in found_in(folder, rules):
                kept.write(f"{kind.value} {' '.join(sorted(names))}\n")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
