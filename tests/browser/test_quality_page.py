"""The tab "How good is it?" as a person meets it."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

TAB = "How good is it?"
NAMES = ("cross", "ring", "stripes")


def _cell(page: Page, words: str) -> Locator:
    return page.get_by_role("button", name=re.compile(f"^{words}: "))


@pytest.mark.slow
def test_a_click_in_the_confusion_matrix_shows_the_very_pictures(
    shapes_page: Page, trained: Path
) -> None:
    counts = json.loads((trained / "results.json").read_text())["test"]["plain"]["confusion_matrix"]
    count, true, said = max((n, t, p) for t, row in enumerate(counts) for p, n in enumerate(row))
    wrong = f"{NAMES[true]} taken for {NAMES[said]}"
    shapes_page.get_by_role("tab", name=TAB).click()
    _cell(shapes_page, f"{NAMES[true]} recognised" if true == said else wrong).click()
    shown = shapes_page.locator("#confusion-cell")
    expect(shown).to_contain_text(f"{count} of {sum(counts[true])} {NAMES[true]} pictures")
    expect(shown.get_by_role("img")).to_have_count(count)
    first = shown.get_by_role("img").first
    expect(first).to_be_visible()
    assert first.evaluate("image => image.complete && image.naturalWidth") == 32


@pytest.mark.slow
def test_the_matrix_is_walked_with_arrow_keys(shapes_page: Page) -> None:
    shapes_page.get_by_role("tab", name=TAB).click()
    _cell(shapes_page, "cross recognised").focus()
    shapes_page.keyboard.press("ArrowRight")
    expect(_cell(shapes_page, "cross taken for ring")).to_be_focused()
    shapes_page.keyboard.press("ArrowDown")
    expect(_cell(shapes_page, "ring recognised")).to_be_focused()
    shapes_page.keyboard.press("Enter")
    expect(shapes_page.locator("#confusion-cell")).to_contain_text("ring pictures were recognised")
    expect(_cell(shapes_page, "ring recognised")).to_have_attribute("aria-pressed", "true")


def test_without_a_dataset_a_click_shows_the_numbers(default_page: Page) -> None:
    default_page.get_by_role("tab", name=TAB).click()
    _cell(default_page, "cat taken for dog").click()
    shown = default_page.locator("#confusion-cell")
    expect(shown).to_contain_text("cat pictures were taken for dog")
    expect(shown).to_contain_text("--dataset")
    heading = default_page.get_by_role("heading", name="Cat is missed most")
    expect(heading).to_be_visible()


@pytest.mark.slow
def test_mistakes_get_their_pictures_when_they_come_into_sight(shapes_page: Page) -> None:
    shapes_page.get_by_role("tab", name=TAB).click()
    block = shapes_page.locator("#confident-mistakes")
    block.scroll_into_view_if_needed()
    expect(block).to_contain_text(re.compile("most sure, and wrong|no mistakes"))
    expect(block.locator(".blank")).to_have_count(0)
