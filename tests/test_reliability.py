"""RELIABILITY.md says what the benchmarks' files and the code's limits say."""

from benchmarks import reliability
from benchmarks._common import ROOT

TEXT = (ROOT / "RELIABILITY.md").read_text(encoding="utf-8")


def test_the_page_is_what_the_code_writes() -> None:
    assert reliability.written(TEXT) == TEXT


def test_what_is_not_measured_says_so(tmp_path: object) -> None:
    text = reliability.written(TEXT, results=reliability.Path(str(tmp_path)))
    assert text.count(reliability.NOT_MEASURED) == len(reliability.MEASURED)


def test_faults_are_told() -> None:
    measured = {
        "count": 3,
        "slowest_seconds": 2.5,
        "most_mib": 10.0,
        "faults": ["zip bomb: 2.5 s"],
    }
    assert "zip bomb: 2.5 s" in reliability.sentence("hostile", measured)
