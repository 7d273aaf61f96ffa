"""Fit rules/second_look.toml to the labelled messages: `uv run --with scikit-learn python tests/fit_second_look.py`.

Prints, for messages that each fit had not seen (8 folds), how often the second look would be right and how often it
would hand an application to a person for nothing. Doubtful labels are left out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold

_HERE = Path(__file__).parent
sys.path.insert(0, str(_HERE.parent))

from inbox_agent import recognise  # noqa: E402 - from the checkout, whatever is installed
from inbox_agent.application import Kind  # noqa: E402
from inbox_agent.offer import Staff  # noqa: E402
from inbox_agent.offers import load_offers  # noqa: E402
from inbox_agent.read import read  # noqa: E402
from inbox_agent.rules import load_rules  # noqa: E402
from inbox_agent.second_look import findings  # noqa: E402

FOLDERS = (_HERE / "messages", *sorted((_HERE / "exams").glob("*/")))
UNLIKE, ALIKE = 0.15, 0.85
_CANDIDATES = (Kind.APPLICATION, Kind.FOLLOW_UP, Kind.WITHDRAWAL)
_HEAD = """\
# A second look at a person's mail (inbox_agent/second_look.py): it never decides, it makes a person look where
# everything that was found at once flatly contradicts the rules. Made by tests/fit_second_look.py from {count} labelled
# messages; nobody edits it by hand. Weights are logits: what raises the likeness to an application is positive.

[limits]
unlike = {unlike}  # an acknowledgement is held back below
alike = {alike}  # other mail is shown to a person above

[weights]
start = {start}
"""


def main() -> None:
    seen, labels = examples()
    truth = np.array(labels)
    likeness = np.zeros(len(truth))
    for known, unseen in KFold(8, shuffle=True, random_state=1).split(seen):
        names, fitted = fit([seen[at] for at in known], truth[known])
        likeness[unseen] = fitted.predict_proba(names.transform([seen[at] for at in unseen]))[:, 1]
    for_nothing, shown = (truth & (likeness < UNLIKE)).sum(), (~truth & (likeness > ALIKE)).sum()
    say(f"{len(truth)} messages, unseen by their fit: {((likeness > 0.5) == truth).mean():.1%} right")
    say(f"of {truth.sum()} applications {for_nothing} would be handed to a person for nothing")
    say(f"of {(~truth).sum()} other mails {shown} would be shown to a person for nothing")
    names, fitted = fit(seen, truth)
    weights = dict(zip(names.feature_names_, fitted.coef_[0], strict=True))
    head = _HEAD.format(count=len(truth), unlike=UNLIKE, alike=ALIKE, start=round(float(fitted.intercept_[0]), 2))
    lines = [f'"{name}" = {weight:.2f}' for name, weight in sorted(weights.items()) if abs(weight) >= 0.05]
    (_HERE.parent / "rules" / "second_look.toml").write_text(head + "\n".join(lines) + "\n", encoding="utf-8")


def fit(seen: list[dict[str, int]], truth: np.ndarray) -> tuple[DictVectorizer, LogisticRegression]:
    """C from 0.1 to 1 gives the same within a percent."""
    names = DictVectorizer()
    regression = LogisticRegression(C=0.3, max_iter=3000, class_weight="balanced")
    return names, regression.fit(names.fit_transform(seen), truth)


def examples() -> tuple[list[dict[str, int]], list[bool]]:
    """What is found in each labelled message that a person wrote, and whether it is of a candidate."""
    caught = []
    whole = recognise._person

    def watched(case, sight):
        caught.append(findings(sight))
        return whole(case, sight)

    recognise._person = watched
    seen, labels = [], []
    for folder in FOLDERS:
        rules = load_rules(folder / "rules")
        offers = load_offers(folder / "rules")
        for path in sorted(folder.glob("*.eml")):
            kind = Kind(json.loads(path.with_suffix(".json").read_text())["kind"])
            caught.clear()
            read(path.read_bytes(), rules, offers, Staff.of(offers))
            if caught and kind is not Kind.DOUBT:
                seen.append(dict.fromkeys(caught[0], 1))
                labels.append(kind in _CANDIDATES)
        say(f"{folder.name}: {len(seen)}")
    return seen, labels


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
