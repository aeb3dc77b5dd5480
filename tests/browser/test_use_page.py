"""The tab "Use it" as a person meets it."""

from urllib.parse import urlsplit

from playwright.sync_api import Page, expect

TAB = "Use it"


def test_snippets_name_the_address_that_the_visitor_used(default_page: Page) -> None:
    default_page.get_by_role("tab", name=TAB).click()
    address = urlsplit(default_page.url).netloc
    for name in ("client", "curl"):
        expect(default_page.locator(f"#snippet-{name}")).to_contain_text(address)


def test_the_model_card_is_shown_without_its_front_matter(default_page: Page) -> None:
    default_page.get_by_role("tab", name=TAB).click()
    card = default_page.locator("#model-card")
    expect(card.get_by_role("heading", name="Intended use and limits")).to_be_visible()
    expect(card).not_to_contain_text("library_name")
