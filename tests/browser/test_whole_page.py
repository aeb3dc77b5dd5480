"""What holds for every tab: phone width, dark mode, accessibility, nothing that jumps."""

import re
from collections.abc import Callable

import pytest
from conftest import ROOT
from playwright.sync_api import Page, expect

axe = pytest.importorskip("axe_playwright_python.sync_playwright")
NewPage = Callable[..., Page]
PHONE = {"width": 390, "height": 844}
TABS = ("Classify", "Many images", "How good is it?", "Teach it", "Use it")
SHIP = ROOT / "examples" / "ship.png"


def _show(page: Page, tab: str) -> None:
    """Opens a tab with something in it."""
    page.get_by_role("tab", name=tab).click()
    if tab == "Classify":
        page.locator("#picture-file").set_input_files(SHIP)
        expect(page.locator("#stage .heat")).to_be_visible()
    elif tab == "Teach it":
        expect(page.locator("#lesson .class")).to_have_count(2)
    elif tab == "Many images":
        page.locator("#many-input").set_input_files([SHIP])
        expect(page.locator("#many-table tbody tr")).to_have_count(1)


def _serious(page: Page) -> list[str]:
    violations = axe.Axe().run(page).response["violations"]
    return [
        f"{one['impact']} {one['id']}: {[node['html'][:120] for node in one['nodes'][:3]]}"
        for one in violations
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(training_url: str, new_page: NewPage, scheme: str) -> None:
    page = new_page(training_url, color_scheme=scheme)
    assert _serious(page) == []
    for tab in TABS:
        _show(page, tab)
        assert _serious(page) == [], tab


@pytest.mark.slow
def test_a_phone_shows_all_tabs_and_never_scrolls_sideways(
    training_url: str, new_page: NewPage
) -> None:
    page = new_page(training_url, viewport=PHONE, has_touch=True, is_mobile=True)
    for tab in TABS:
        expect(page.get_by_role("tab", name=tab)).to_be_in_viewport(ratio=1)
        _show(page, tab)
        assert page.evaluate("document.documentElement.scrollWidth") == 390, tab
        page.evaluate("window.scrollTo(0, 0)")


@pytest.mark.slow
def test_a_phone_shows_the_verdict_without_scrolling(default_url: str, new_page: NewPage) -> None:
    page = new_page(default_url, viewport=PHONE, has_touch=True, is_mobile=True)
    page.get_by_role("button", name="Drawing: ship").click()
    verdict = page.locator("#answer .verdict")
    expect(verdict).to_contain_text("ship")
    expect(verdict).to_be_in_viewport()


@pytest.mark.slow
def test_dark_mode_is_dark_and_light_mode_light(default_url: str, new_page: NewPage) -> None:
    for scheme, dark in (("dark", True), ("light", False)):
        page = new_page(default_url, color_scheme=scheme)
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", colour)[:3])) < 150) is dark, colour


def test_nothing_jumps_when_the_answer_comes(default_url: str, new_page: NewPage) -> None:
    page = new_page(default_url)
    parts = ("#stage", "#picker", "#answer", "#why")
    before = {part: page.locator(part).bounding_box() for part in parts}
    page.get_by_role("button", name="Drawing: ship").click()
    expect(page.locator("#stage .heat")).to_be_visible()
    for part in parts:
        was, now = before[part], page.locator(part).bounding_box()
        assert was is not None
        assert now is not None
        assert abs(was["y"] - now["y"]) < 4, part
    assert _serious(page) == []
