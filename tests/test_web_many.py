"""The table of many pictures: what it says, and what it is saved as."""

import csv
import io
from html import unescape
from pathlib import Path

import pytest

from model.inference.prediction import Prediction
from model.utils.errors import ImageError
from web import many
from web.answers import Answer

NO = Answer(problem=ImageError("<b>No.</b>"))


def test_names_cannot_break_out_of_the_table() -> None:
    name = '<img src=x onerror="alert(1)">'
    table = many.table_of([(name, "", NO)])
    for markup in ("<img src=x", "<b>No", 'onerror="'):
        assert markup not in table
    assert name in unescape(table)


def test_formulas_in_names_stay_text_in_a_spreadsheet() -> None:
    rows = [(name, "", NO) for name in ("=1+1", "@x", "-1", "+1", 'a,"b"')]
    read = list(csv.DictReader(io.StringIO(many.csv_of(rows))))
    assert [row["file"] for row in read] == ["'=1+1", "'@x", "'-1", "'+1", 'a,"b"']
    named = Answer(prediction=Prediction("=1", 1.0, {"=1": 1.0}, "unsure", "", 0.0, (0, 0, 9, 9)))
    assert next(csv.DictReader(io.StringIO(many.csv_of([("a", "", named)]))))["label"] == "'=1"


@pytest.mark.parametrize("said", [None, "x", [1, None], [{"name": "a", "path": "/etc/passwd"}]])
def test_what_a_browser_says_is_not_believed(said: object) -> None:
    for _, path in many.checked(said):
        assert path == Path("missing")
