"""The tab "Many images" as a person meets it."""

import csv
import io
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT
from playwright.sync_api import Page, expect

AIRPLANE, SHIP = (ROOT / "examples" / f"{name}.png" for name in ("airplane", "ship"))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "bundle.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(SHIP, "sea/ship.png")
        archive.write(AIRPLANE, "../../airplane.png")
        archive.writestr("notes.txt", "no picture")
    return path


def _fill(page: Page, *files: Path) -> None:
    page.get_by_role("tab", name="Many images").click()
    page.locator("#many-input").set_input_files(list(files))
    expect(page.locator("#many-table tbody tr").first).to_be_visible()


def _names(page: Page) -> list[str]:
    return page.locator("#many-table tbody tr:visible .file").all_inner_texts()


def test_a_zip_becomes_a_table_that_sorts_filters_and_saves(
    default_page: Page, bundle: Path
) -> None:
    page = default_page
    _fill(page, bundle)
    table = page.locator("#many-table")
    assert _names(page) == ["sea/ship.png", "../../airplane.png", "notes.txt"]
    ship = table.locator("tr", has_text="sea/ship.png")
    expect(ship).to_contain_text("ship")
    assert ship.locator("img").evaluate("image => image.complete && image.naturalWidth") == 48
    expect(table.locator("tr", has_text="notes.txt")).to_contain_text("not a picture")
    expect(page.locator("#many-progress")).to_contain_text("3 files")

    page.get_by_role("button", name="Shows").click()
    assert _names(page)[-2:] == ["../../airplane.png", "sea/ship.png"]
    page.get_by_role("button", name="Shows").click()
    assert _names(page)[:2] == ["sea/ship.png", "../../airplane.png"]

    page.get_by_label("Search").fill("airplane")
    assert _names(page) == ["../../airplane.png"]
    expect(table.locator(".count")).to_have_text("1 of 3 shown")
    page.get_by_label("Search").fill("")
    page.get_by_label("Verdict").select_option("not read")
    assert _names(page) == ["notes.txt"]

    with page.expect_download() as download:
        page.get_by_role("link", name="Download CSV").click()
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["file"] for row in rows] == ["sea/ship.png", "../../airplane.png", "notes.txt"]
    assert rows[0]["label"] == "ship"
    assert 0 < float(rows[0]["probability"]) <= 1
    assert "not a picture" in rows[2]["problem"]
