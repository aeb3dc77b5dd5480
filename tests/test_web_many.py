"""The table of many pictures: what it says, and what it is saved as."""

import csv
import io
from pathlib import Path

import pytest
from conftest import ROOT

from model.utils.errors import ImageError
from web import many
from web.archive import Item
from web.journal import Entry
from web.models import Models
from web.site import Site

SHIP = ROOT / "examples" / "ship.png"


@pytest.fixture(scope="module")
def site() -> Site:
    return Site(Models())


def test_pictures_and_others_keep_their_order(site: Site) -> None:
    ship, gone = SHIP.read_bytes(), ImageError("Gone.")
    items: list[Item] = [("a", ship), ("b", b"text"), ("c", gone), ("d", ship)]
    rows = list(many.rows(site, iter(items), "a name that is gone", Entry()))
    assert [row.name for row in rows] == ["a", "b", "c", "d"]
    assert [row.prediction and row.prediction.label for row in rows] == ["ship", None, None, "ship"]
    assert [bool(row.problem) for row in rows] == [False, True, True, False]
    assert [row.thumbnail.startswith("data:image/png") for row in rows] == [
        True,
        False,
        False,
        True,
    ]


def test_the_last_answer_is_the_table(site: Site) -> None:
    progress, table = list(many.answers(site, [("ship.png", SHIP)], "", Entry()))[-1]
    assert "1 files: 1" in progress
    assert "ship.png" in table
    assert list(many.answers(site, [], "", Entry())) == [(many._progress(0, ""), many.NOTHING)]


def test_names_cannot_break_out_of_the_table() -> None:
    row = many.Row('<img src=x onerror="alert(1)">', problem="<b>no</b>")
    table = many.table_of([row])
    for markup in ("<img src=x", "<b>no", 'onerror="'):
        assert markup not in table


def test_formulas_in_names_stay_text_in_a_spreadsheet() -> None:
    rows = [many.Row(name, problem="No.") for name in ("=1+1", "@x", "-1", "+1", 'a,"b"')]
    read = list(csv.DictReader(io.StringIO(many.csv_of(rows))))
    assert [row["file"] for row in read] == ["'=1+1", "'@x", "'-1", "'+1", 'a,"b"']


@pytest.mark.parametrize("said", [None, "x", [1, None], [{"name": "a", "path": "/etc/passwd"}]])
def test_what_a_browser_says_is_not_believed(said: object) -> None:
    for _, path in many.checked(said):
        assert path == Path("missing")
