"""The tab "Teach it" as a person meets it: from naming classes to a model on the own disk."""

import base64
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from model.data import open_dataset
from model.inference.classifier import Classifier
from model.utils.pixels import png
from model.utils.synthetic import picture

NewPage = Callable[..., Page]
COUNT = 8
PASTE = """(content) => {
  const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], "some.png", { type: "image/png" }));
  const card = document.querySelectorAll("#lesson .class")[1];
  card.querySelector("input").dispatchEvent(
    new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
  card.dispatchEvent(
    new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
}"""


def _drawn(label: int, count: int = COUNT) -> list[bytes]:
    rng = np.random.default_rng(label)
    return [png(picture(label, rng)) for _ in range(count)]


def _cards(page: Page) -> Locator:
    return page.locator("#lesson .class")


def _give(page: Page, card: Locator, pictures: list[bytes]) -> None:
    with page.expect_file_chooser() as chooser:
        card.get_by_role("button", name="Choose pictures").click()
    files = [
        {"name": f"{i}.png", "mimeType": "image/png", "buffer": one}
        for i, one in enumerate(pictures)
    ]
    chooser.value.set_files(files)  # type: ignore[arg-type]


def _open(page: Page) -> None:
    page.get_by_role("tab", name="Teach it").click()
    expect(_cards(page)).to_have_count(2)


@pytest.mark.slow
def test_a_visitor_teaches_tries_and_takes_home(
    training_url: str, new_page: NewPage, tmp_path: Path
) -> None:
    page = new_page(training_url, permissions=["camera"])
    _open(page)
    for i, (name, label) in enumerate((("disc", 0), ("stripes", 6))):
        card = _cards(page).nth(i)
        card.get_by_label("Name of the class").fill(name)
        card.get_by_label("Name of the class").press("Tab")
        expect(card.get_by_label(f"Choose pictures of {name}")).to_be_visible()
        _give(page, card, _drawn(label))
        expect(card.locator(".thumbs img")).to_have_count(COUNT)
    expect(page.locator("#lesson .hint").first).to_contain_text("better 20")

    page.get_by_role("button", name="Train", exact=True).click()
    status = page.locator("#training-view").get_by_role("status")
    expect(status).to_contain_text("test pictures rightly", timeout=300_000)
    expect(page.locator("#training-view .cell").first).to_be_visible()

    page.reload()  # which loses nothing
    page.get_by_role("tab", name="Teach it").click()
    expect(page.locator("#lesson .thumbs img")).to_have_count(2 * COUNT)
    page.locator("#try-file").set_input_files(
        {"name": "a.png", "mimeType": "image/png", "buffer": _drawn(6, 1)[0]}
    )
    expect(page.locator("#try-answer .bars-top li")).to_have_count(2)
    expect(page.locator("#try-stage .heat")).to_be_visible()
    answered: list[str] = []
    page.on("response", lambda one: answered.append(one.url) if "/answer" in one.url else None)
    page.locator("#try").get_by_role("button", name="Camera").click()
    page.wait_for_function("document.querySelector('#try video').videoWidth > 0")
    while len(answered) < 3:
        page.wait_for_timeout(100)
    page.locator("#try").get_by_role("button", name="Take the picture").click()
    expect(page.locator("#try-stage .heat")).to_be_visible()
    assert page.locator("#try-answer .answer").count() == 1

    for name in ("the model", "the pictures"):
        with page.expect_download() as download:
            page.get_by_role("link", name=f"Download {name}").click()
        download.value.save_as(tmp_path / "some.zip")
        with zipfile.ZipFile(tmp_path / "some.zip") as archive:
            archive.extractall(tmp_path / name)
    classify = Classifier.from_pretrained(tmp_path / "the model" / "my-model")
    assert classify.label_names == ("disc", "stripes")
    assert sum(classify(_drawn(0, 1)[0]).probabilities.values()) == pytest.approx(1)
    assert open_dataset(str(tmp_path / "the pictures")).label_names == ("disc", "stripes")
    with page.expect_download(timeout=200_000) as download:
        page.get_by_role("link", name="Download ONNX").click()
    assert download.value.suggested_filename == "my-model.onnx"
    assert download.value.path().stat().st_size > 10**5

    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Start over").click()
    expect(page.locator("#lesson .thumbs img")).to_have_count(0)
    expect(page.get_by_role("link", name="Download the model")).to_have_count(0)


@pytest.mark.slow
def test_pictures_come_by_paste_drop_zip_and_camera(
    training_url: str, new_page: NewPage, tmp_path: Path
) -> None:
    page = new_page(training_url, permissions=["camera"])
    _open(page)
    page.evaluate(PASTE, base64.b64encode(_drawn(0, 1)[0]).decode())
    expect(_cards(page).nth(1).locator(".thumbs img")).to_have_count(2)
    expect(_cards(page).nth(0).locator(".thumbs img")).to_have_count(0)
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as archive:
        for name in ("owl", "elk", "yak"):
            archive.writestr(f"mine/{name}/1.png", _drawn(1, 1)[0])
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Open a zip").click()
    chooser.value.set_files(tmp_path / "some.zip")
    expect(_cards(page)).to_have_count(4)
    page.get_by_role("button", name="Photograph owl").click()
    page.wait_for_function("document.querySelector('#lesson-tools video').videoWidth > 0")
    page.get_by_role("button", name="Take ten").click()
    expect(page.get_by_role("button", name=re.compile("^Remove picture .* of owl"))).to_have_count(
        11
    )
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("button", name="Photograph owl")).to_be_focused()


@pytest.mark.slow
def test_the_keyboard_is_enough_to_remove(training_url: str, new_page: NewPage) -> None:
    page = new_page(training_url)
    _open(page)
    card = _cards(page).first
    _give(page, card, _drawn(0, 3))
    thumbs = card.locator(".thumbs button")
    expect(thumbs).to_have_count(3)
    card.get_by_role("button", name="Paste").focus()
    page.keyboard.press("Tab")
    expect(thumbs.nth(0)).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(thumbs.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(thumbs).to_have_count(2)
    page.get_by_role("button", name="Add a class").press("Enter")
    expect(_cards(page)).to_have_count(3)
    page.get_by_role("button", name="Remove the class Class 3").press("Enter")
    expect(_cards(page)).to_have_count(2)
    page.get_by_role("button", name="Train", exact=True).press("Enter")
    expect(page.get_by_text("Give at least two classes")).to_be_visible()
