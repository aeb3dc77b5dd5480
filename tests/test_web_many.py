"""The table of many pictures: what it says, and what it is saved as."""

import csv
import io
from pathlib import Path

import pytest
from conftest import ROOT

from web import many
from web.archive import Item
from web.models import Models

SHIP = ROOT / "examples" / "ship.png"


@pytest.fixture(scope="module")
def models() -> Models:
    return Models()


def test_pictures_and_others_keep_their_order(models: Models) -> None:
    ship = SHIP.read_bytes()
    batch = [Item("a", ship), Item("b", b"text"), Item("c", None, "Gone."), Item("d", ship)]
    rows = many.classified(models.classifier(), batch)
    assert [row.name for row in rows] == ["a", "b", "c", "d"]
    assert [row.prediction and row.prediction.label for row in rows] == ["ship", None, None, "ship"]
    assert "not a picture" in rows[1].problem
    assert rows[2].problem == "Gone."
    assert rows[0].thumbnail.startswith("data:image/png")


def test_the_last_answer_is_the_table(models: Models) -> None:
    shown = list(many.answers(models, [("ship.png", SHIP)], "a name that is gone"))
    progress, table = shown[-1]
    assert "1 files: 1" in progress
    assert "ship.png" in table


def test_nothing_chosen_is_nothing_shown(models: Models) -> None:
    assert list(many.answers(models, [], "")) == [(many._progress(0, ""), many.NOTHING)]


def test_names_cannot_break_out_of_the_table() -> None:
    row = many.Row('<img src=x onerror="alert(1)">', "", None, "<b>no</b>")
    table = many.table_of([row])
    assert "<img src=x" not in table
    assert "<b>no" not in table
    assert 'onerror="' not in table


def test_formulas_in_names_stay_text_in_a_spreadsheet() -> None:
    rows = [many.Row(name, "", None, "No.") for name in ("=1+1", "@x", "-1", "+1", 'a,"b"')]
    read = list(csv.DictReader(io.StringIO(many.csv_of(rows))))
    assert [row["file"] for row in read] == ["'=1+1", "'@x", "'-1", "'+1", 'a,"b"']


def test_memory_is_bounded_by_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "BATCH", 3)
    monkeypatch.setattr(many, "BATCH_BYTES", 10)
    sizes = [4, 4, 4, 1, 1, 1, 20, 2]
    batches = list(many._batches(Item(str(i), bytes(n)) for i, n in enumerate(sizes)))
    assert [[len(item.content or b"") for item in batch] for batch in batches] == [
        [4, 4, 4],
        [1, 1, 1],
        [20],
        [2],
    ]


@pytest.mark.parametrize("said", [None, "x", [1, None], [{"name": "a", "path": "/etc/passwd"}]])
def test_what_a_browser_says_is_not_believed(said: object) -> None:
    for _, path in many._checked(said):
        assert path == Path("missing")
