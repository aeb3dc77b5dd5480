"""The tab "Classify" as a person meets it."""

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from PIL import Image
from playwright.sync_api import Locator, Page, expect

SHIP = ROOT / "examples" / "ship.png"
NewPage = Callable[..., Page]


def _choose(page: Page, file: Path | dict[str, Any]) -> None:
    page.locator("#picture-file").set_input_files(file)  # type: ignore[arg-type]


def _verdict(page: Page) -> Locator:
    return page.locator("#answer .verdict")


def _heat(page: Page) -> Locator:
    return page.locator("#stage .heat")


def _file(image: Image.Image, name: str, kind: str, **options: Any) -> dict[str, Any]:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return {"name": name, "mimeType": f"image/{kind.lower()}", "buffer": buffer.getvalue()}


def test_a_chosen_picture_gets_a_verdict_bars_and_an_explanation(default_page: Page) -> None:
    page = default_page
    expect(_verdict(page)).to_have_text("What do you see?")
    _choose(page, SHIP)
    expect(_verdict(page)).to_contain_text("ship")
    rows = page.locator("#answer .bars-top li")
    expect(rows).to_have_count(5)
    expect(rows.first).to_contain_text(re.compile(r"ship.*\d\s%"))
    expect(_heat(page)).to_have_attribute("alt", re.compile("speaks for ship"))
    expect(page.get_by_role("radio", name="ship")).to_be_checked()
    expect(page.locator("#explained .seen")).to_be_visible()
    expect(page.locator("#layers img")).to_have_count(3)
    photo = page.locator("#stage .photo")
    assert photo.evaluate("image => image.complete && image.naturalWidth") == 256


@pytest.mark.slow
def test_why_not_another_class(default_page: Page) -> None:
    page = default_page
    _choose(page, SHIP)
    expect(_heat(page)).to_have_attribute("alt", re.compile("speaks for ship"))
    before = _heat(page).get_attribute("src") or ""
    page.get_by_role("radio", name="dog").check()
    expect(_heat(page)).to_have_attribute("alt", re.compile("speaks for dog"))
    expect(_heat(page)).not_to_have_attribute("src", before)
    expect(page.locator("#stage .legend")).to_contain_text("speaks for dog")
    expect(_verdict(page)).to_contain_text("ship")  # the answer stays
    page.get_by_label("Show the heat-map").uncheck()
    expect(_heat(page)).to_be_hidden()


@pytest.mark.slow
def test_the_keyboard_is_enough(default_page: Page) -> None:
    page = default_page
    page.locator("body").press("Tab")
    for _ in range(40):
        if page.evaluate("document.activeElement.closest('.gallery') !== null"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(_heat(page)).to_be_visible()
    page.get_by_role("radio", name="automobile").focus()
    page.keyboard.press("Space")
    expect(_heat(page)).to_have_attribute("alt", re.compile("speaks for automobile"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "event",
    [
        'document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data }))',
        """document.querySelector("#stage").dispatchEvent(
             new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }))""",
    ],
    ids=["pasted", "dropped"],
)
def test_a_picture_is_taken_however_it_comes(default_page: Page, event: str) -> None:
    content = base64.b64encode(SHIP.read_bytes()).decode()
    default_page.evaluate(
        f"""(content) => {{
          const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
          const data = new DataTransfer();
          data.items.add(new File([bytes], "some.png", {{ type: "image/png" }}));
          {event};
        }}""",
        content,
    )
    expect(_verdict(default_page)).to_contain_text("ship")


@pytest.mark.slow
def test_the_camera_takes_a_picture(default_url: str, new_page: NewPage) -> None:
    page = new_page(default_url, permissions=["camera"])
    page.get_by_role("button", name="Camera").click()
    page.wait_for_function("document.querySelector('.camera video').videoWidth > 0")
    page.get_by_role("button", name="Take the picture").click()
    expect(_heat(page)).to_be_visible()
    expect(page.get_by_role("button", name="Take the picture")).to_be_hidden()


@pytest.mark.slow
def test_a_forbidden_camera_is_explained(default_url: str, new_page: NewPage) -> None:
    page = new_page(default_url)
    page.get_by_role("button", name="Camera").click()
    expect(page.locator("#picker .status")).to_contain_text("may not use the camera")


@pytest.mark.slow
def test_what_browsers_cannot_show_or_would_show_lying_is_shown(default_page: Page) -> None:
    photo = default_page.locator("#stage .photo")
    size = "image => image.complete && [image.naturalWidth, image.naturalHeight]"
    with Image.open(SHIP) as image:
        _choose(default_page, _file(image.convert("RGB"), "ship.tiff", "TIFF"))
    expect(_verdict(default_page)).to_contain_text("ship")
    assert photo.evaluate(size) == [256, 256]
    exif = Image.Exif()
    exif[0x0112] = 6
    _choose(
        default_page, _file(Image.new("RGB", (640, 320), "navy"), "phone.jpg", "JPEG", exif=exif)
    )
    expect(_verdict(default_page)).not_to_contain_text("ship")
    expect(photo).to_have_js_property("naturalHeight", 640)


@pytest.mark.slow
def test_two_models_are_compared_on_the_same_picture(shapes_page: Page) -> None:
    page = shapes_page
    page.get_by_role("button", name="Test image: ring").click()
    expect(page.locator("#answer .answer")).to_have_count(2)
    expect(page.locator("#answer")).to_contain_text("cifarnet_base")
    expect(page.locator("#compared figure")).to_have_count(2)
    page.get_by_label("cifarnet_base").uncheck()
    expect(page.locator("#answer .answer")).to_have_count(1)
    expect(page.locator("#compared figure")).to_have_count(0)
