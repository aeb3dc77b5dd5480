"""The tab "Use it" as a person meets it."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from web import use

TAB = "Use it"


def test_a_snippet_is_copied(default_url: str, new_page: Callable[..., Page]) -> None:
    page = new_page(default_url, permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("tab", name=TAB).click()
    page.get_by_role("button", name="Copy: Python: ask this page").click()
    expect(page.locator("#snippet-client").get_by_role("status")).to_have_text("Copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == use.code("client.py", default_url.rstrip("/"))
    card = page.locator("#model-card")
    expect(card.get_by_role("heading", name="Intended use and limits")).to_be_visible()
    expect(card).not_to_contain_text("library_name")
