"""Digest and board in a real browser: what is seen, at which size, in light and dark, and that nothing leaves the page.

One run of Chromium looks at all pages (tests/browser/look.mjs). With UPDATE_PICTURES=1 the pictures of the guide in
docs/images are made anew; otherwise pictures go to a temporary folder.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
from datetime import date, datetime
from pathlib import Path

import pytest
from inbox_agent import digest, listing, samples
from inbox_agent.board import Board, render_board
from inbox_agent.templates import load_templates

from servers.dovecot import missing
from test_board import hostile_rows
from test_digest import hostile_day

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

HERE = Path(__file__).parent
BROWSER = HERE / "browser"
IMAGES = HERE.parent / "docs" / "images"
CHROMIUM = shutil.which("chromium")
SIZES = {"desktop": 1280, "phone": 390}
FILTER_BUDGET = 100  # milliseconds, issue 6


def board_of(rows: tuple[listing.ApplicationRow, ...]) -> bytes:
    offers = (samples.OFFER, samples.OTHER_OFFER)
    states = listing.offer_states(offers, rows, date(2024, 2, 13))
    evening = datetime(2024, 2, 13, 18, 0, tzinfo=samples.PARIS)
    return render_board(Board("Villes au Carré", evening, states, rows), load_templates())


def pages(folder: Path) -> dict[str, Path]:
    """Every page to look at, by name."""
    templates = load_templates()
    octets = {f"board-{count}": board_of(samples.application_rows(count)) for count in (0, 1, 40, 2000)}
    octets["board-hostile"] = board_of((*hostile_rows(), *samples.application_rows(3)))
    octets["board-closed"] = render_board(dict(samples.board_samples())["full"], templates)
    days = {**dict(samples.digest_samples()), "hostile": hostile_day()}
    rows = samples.application_rows(2000)
    days["flood"] = dataclasses.replace(days["full"], new=rows)
    octets |= {f"digest-{name}": digest.html(day, templates).encode() for name, day in days.items()}
    found = {}
    for name, content in octets.items():
        found[name] = folder / f"{name}.html"
        found[name].write_bytes(content)
    return found


def views(found: dict[str, Path], folder: Path) -> list[dict[str, object]]:
    """Each page at two widths, in light and dark; axe judges those that are not too long for it."""
    return [
        {
            "name": f"{name}-{size}-{'dark' if dark else 'light'}",
            "file": str(path),
            "width": width,
            "dark": dark,
            "png": str(folder / f"{name}-{size}-{'dark' if dark else 'light'}.png"),
            "height": 1400,
            "axe": name not in {"board-2000", "digest-flood"},
        }
        for name, path in found.items()
        for size, width in SIZES.items()
        for dark in (False, True)
    ]


def visits(found: dict[str, Path]) -> list[dict[str, object]]:
    """What a person does, under the page's own policy."""
    many, forty = str(found["board-2000"]), str(found["board-40"])
    plain = {"width": 1280, "dark": False}
    names = ["tbody th a", "#found", "#more"]
    return [
        {**plain, "name": "filter", "file": many, "filter": True, "read": ["#found", "#more"]},
        {"name": "tablet", "file": forty, "width": 950, "dark": False, "axe": True},
        {"name": "small tablet", "file": forty, "width": 768, "dark": True, "axe": True},
        {"name": "filter-phone", "file": many, "width": 390, "dark": False, "filter": True},
        {**plain, "name": "more", "file": many, "steps": [["click", "#more"]], "read": ["tbody tr", "#more"]},
        {**plain, "name": "search", "file": forty, "steps": [["fill", "#search", "NOEMIE"]], "read": names},
        {**plain, "name": "nothing", "file": forty, "steps": [["fill", "#search", "zzzz"]], "read": ["#none", "table"]},
        {**plain, "name": "late", "file": forty, "steps": [["select", "#state", "late"]], "read": ["tbody td.state"]},
        {**plain, "name": "draft", "file": forty, "steps": [["select", "#reply", "draft"]], "read": ["td.reply .tag"]},
        {
            **plain,
            "name": "reset",
            "file": forty,
            "steps": [["select", "#state", "late"], ["fill", "#search", "x"], ["click", "#reset"]],
            "read": ["#found"],
        },
        {
            **plain,
            "name": "sorted",
            "file": forty,
            "steps": [["click", "th[data-key=name] button"]],
            "read": ["tbody th a", "th[aria-sort=ascending]"],
        },
        {
            **plain,
            "name": "sorted-back",
            "file": forty,
            "steps": [["click", "th[data-key=number] button"]] * 2,
            "read": ["tbody td.n"],
        },
        {
            **plain,
            "name": "offer",
            "file": forty,
            "steps": [["click", f"button[data-offer='{samples.OTHER_OFFER.id}']"]],
            "read": ["tbody td.offer"],
        },
        {
            **plain,
            "name": "keyboard",
            "file": forty,
            "steps": [["press", "Tab"], ["press", "Enter"], ["press", "Tab"], ["type", "aicha"]],
            "read": ["tbody th a"],
        },
        {
            **plain,
            "name": "hostile",
            "file": str(found["board-hostile"]),
            "steps": [["fill", "#search", "script"]],
            "read": names,
        },
    ]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    if CHROMIUM is None or shutil.which("node") is None:
        missing("Chromium and Node.js are not installed (apt-get install chromium nodejs npm)")
    if not (BROWSER / "node_modules" / "axe-core").exists():
        done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=BROWSER, capture_output=True, check=False)
        if done.returncode:
            missing("npm ci in tests/browser failed: no registry is reached")
    folder = tmp_path_factory.mktemp("pages")
    found = pages(folder)
    jobs = [*views(found, folder), *visits(found)]
    if os.environ.get("UPDATE_PICTURES"):
        jobs += pictures(found)
    done = subprocess.run(
        ["node", "look.mjs"],
        cwd=BROWSER,
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "CHROMIUM": CHROMIUM},
    )
    assert done.returncode == 0, done.stderr
    return {job["name"]: result for job, result in zip(jobs, json.loads(done.stdout), strict=True)}


def pictures(found: dict[str, Path]) -> list[dict[str, object]]:
    """The pictures of docs/guide-equipe.md."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    wanted = [
        ("bulletin", "digest-full", 720, 1180),
        ("bulletin-telephone", "digest-full", 390, 760),
        ("tableau", "board-40", 1100, 900),
        ("tableau-telephone", "board-40", 390, 760),
    ]
    return [
        {
            "name": f"picture {name}",
            "file": str(found[page]),
            "width": width,
            "height": height,
            "dark": False,
            "png": str(IMAGES / f"{name}.png"),
        }
        for name, page, width, height in wanted
    ]


def test_no_request_leaves_any_page(seen):
    assert {name: result["requests"] for name, result in seen.items() if result["requests"]} == {}


def test_no_page_complains_or_runs_a_strangers_script(seen):
    assert {name: result["errors"] for name, result in seen.items() if result["errors"]} == {}


def test_axe_finds_no_violation(seen):
    judged = {name: result["violations"] for name, result in seen.items() if "violations" in result}

    assert len(judged) >= 32
    assert {name: violations for name, violations in judged.items() if violations} == {}


def test_no_page_is_wider_than_the_screen(seen):
    assert {name: result["overflow"] for name, result in seen.items() if result["overflow"] > 0} == {}


def test_every_page_was_pictured(seen, tmp_path_factory):
    taken = [name for name in seen if name.endswith(("-light", "-dark"))]

    assert len(taken) == 4 * 11


@pytest.mark.parametrize("visit", ["filter", "filter-phone"])
def test_two_thousand_rows_filter_in_less_than_a_tenth_of_a_second(seen, visit):
    times = seen[visit]["filter"]["times"]

    assert max(times) < FILTER_BUDGET, times


def test_a_hundred_rows_are_shown_first_and_the_rest_on_demand(seen):
    assert seen["filter"]["read"]["#more"] == ["Afficher la suite (1\u202f900)"]
    assert len(seen["more"]["read"]["tbody tr"]) == 200


def test_a_search_needs_neither_accents_nor_case(seen):
    read = seen["search"]["read"]

    assert read["tbody th a"]
    assert all(name.startswith("Noémie") for name in read["tbody th a"])
    assert read["#found"][0].endswith("sur 40 candidatures")


def test_a_search_without_result_says_so(seen):
    assert seen["nothing"]["read"] == {"#none": ["Aucune candidature ne correspond à ces critères."], "table": []}


def test_states_and_replies_filter(seen):
    assert set(seen["late"]["read"]["tbody td.state"]) == {"hors délai"}
    assert set(seen["draft"]["read"]["td.reply .tag"]) == {"brouillon à relire"}


def test_reset_shows_everything_again(seen):
    assert seen["reset"]["read"]["#found"] == ["40 candidatures"]


def test_columns_sort_as_french_does_and_back(seen):
    names = seen["sorted"]["read"]["tbody th a"]
    numbers = [int(number) for number in seen["sorted-back"]["read"]["tbody td.n"]]

    assert names[0].startswith("Aïcha")
    assert names.index(next(name for name in names if name.startswith("Élodie"))) < names.index(
        next(name for name in names if name.startswith("Ivan"))
    )
    assert seen["sorted"]["read"]["th[aria-sort=ascending]"] == ["Nom"]
    assert numbers == sorted(numbers, reverse=True)


def test_an_offers_button_filters_by_it(seen):
    assert set(seen["offer"]["read"]["tbody td.offer"]) == {samples.OTHER_OFFER.title}


def test_the_list_is_reached_and_searched_by_keyboard(seen):
    names = seen["keyboard"]["read"]["tbody th a"]

    assert names
    assert all(name.startswith("Aïcha") for name in names)


def test_hostile_names_are_text(seen):
    names = seen["hostile"]["read"]["tbody th a"]

    assert any(name.startswith("</script><script>alert(1)</script>") for name in names)
