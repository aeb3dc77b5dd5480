"""What is recorded of questions: enough to run the page by, nothing of pictures or people."""

import io
import json
import re
import urllib.request
from contextlib import nullcontext
from pathlib import Path

import gradio as gr
import pytest
from conftest import ROOT
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from pages import opened

from web import page
from web.journal import Journal, shortened

SHIP = str(ROOT / "examples" / "ship.png")


def _lines(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def _numbers(text: str) -> dict[str, float]:
    """Prometheus's text format, as its documentation describes it: `name{labels} value`."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_a_defect_becomes_a_report_that_says_what_to_send(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = io.StringIO()
    with pytest.raises(gr.Error) as caught, Journal(out).question("classify"):
        raise ZeroDivisionError("inner workings")
    (line,) = _lines(out)
    assert line["error"] == "crash"
    said = str(caught.value)
    assert "inner workings" not in said
    (number,) = re.findall(r"report ([0-9a-f]{8})", said)
    told = capsys.readouterr().err
    assert f"Report {number}" in told
    assert "ZeroDivisionError: inner workings" in told
    assert "no picture" in told
    assert "torch 2." in told


def test_refusals_are_counted_by_reason() -> None:
    out = io.StringIO()
    journal = Journal(out)
    journal.refused("busy", "2001:db8:1:2::3", 17)
    (line,) = _lines(out)
    assert (line["kind"], line["error"], line["bytes"]) == ("refused", "busy", 17)
    assert line["client"] == "2001:db8:1::/48"
    numbers = _numbers(journal.metrics().decode())
    assert numbers['cifarnet_refusals_total{reason="busy"}'] == 1


@pytest.mark.parametrize("address", [None, "", "unix:/run/socket", "203.0.113.7:80"])
def test_what_is_no_address_is_not_recorded(address: str | None) -> None:
    assert shortened(address) is None


@pytest.mark.filterwarnings("ignore")  # what gradio does with pandas
def test_the_page_tells_how_it_is_doing_and_forgets_who_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(page, "MOST_SESSIONS", 3)
    out = io.StringIO()
    with opened(lines=out) as (site, url):
        for file in (SHIP, str(ROOT / "LICENSE"), *[SHIP] * 3):  # a session each
            client = Client(url, verbose=False, analytics_enabled=False)
            with nullcontext() if file == SHIP else pytest.raises(AppError):
                found = client.predict(handle_file(file), api_name="/classify")
            client.close()
        assert len(site.routes[-1].app.state_holder.session_data) == 3
        with urllib.request.urlopen(f"{url}healthz") as answer:
            health = json.load(answer)
        with urllib.request.urlopen(f"{url}metrics") as answer:
            assert answer.headers["Content-Type"].startswith("text/plain")
            numbers = _numbers(answer.read().decode())
    assert health == {"status": "ok", "waiting": 0, "models": ["cifarnet_base"]}
    assert numbers[f'cifarnet_pictures_total{{verdict="{found["verdict"]}"}}'] == 4
    assert numbers['cifarnet_questions_total{error="ImageError",kind="classify"}'] == 1
    assert numbers['cifarnet_question_seconds_count{kind="classify"}'] == 5
    assert numbers["process_resident_memory_bytes"] > 10**8
    right, wrong = [line for line in _lines(out) if line["kind"] == "classify"][:2]
    assert right["verdicts"] == {found["verdict"]: 1}
    assert right["bytes"] == Path(SHIP).stat().st_size
    assert isinstance(right["ms"], float)
    assert "127.0.0.1" not in out.getvalue()
    assert right["error"] is None
    assert wrong["error"] == "ImageError"
    assert wrong["bytes"] == (ROOT / "LICENSE").stat().st_size
    said = "".join(capsys.readouterr()) + out.getvalue()
    assert "ship.png" not in said
    assert "LICENSE" not in said
