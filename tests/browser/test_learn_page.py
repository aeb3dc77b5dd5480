"""The tab "Watch it learn" as a person meets it: start, watch, stop, use."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

TAB = "Watch it learn"


@pytest.mark.slow
def test_a_training_is_started_watched_and_stopped(
    training_url: str, new_page: Callable[..., Page]
) -> None:
    page = new_page(training_url)
    page.get_by_role("tab", name=TAB).click()
    status = page.locator("#training-view").get_by_role("status")
    expect(status).to_have_text("Nothing has been trained yet.")
    stop = page.get_by_role("button", name="Stop and keep")
    expect(stop).to_be_disabled()

    page.get_by_label("ten drawn shapes").check()
    page.get_by_role("button", name="Start training").click()
    expect(status).to_contain_text(
        re.compile("Training cifarnet_nano on synthetic"), timeout=60_000
    )
    expect(page.get_by_role("button", name="Start training")).to_be_disabled()
    view = page.locator("#training-view")
    expect(view.get_by_alt_text(re.compile("^Picture of "))).to_have_count(6)
    said = view.locator(".six").inner_text()
    curve = view.locator("polyline.bad")
    points = curve.get_attribute("points") or ""
    expect(curve).not_to_have_attribute("points", points, timeout=20_000)  # it moves
    expect(view.locator(".six")).not_to_have_text(said, timeout=20_000)  # and so do these

    page.reload()  # somebody who comes later sees the same training
    page.get_by_role("tab", name=TAB).click()
    expect(status).to_contain_text("cifarnet_nano on synthetic", timeout=20_000)

    stop.click()
    expect(status).to_contain_text("It is ready on the Classify tab", timeout=60_000)
    expect(page.get_by_role("button", name="Start training")).to_be_enabled()
