"""Draws figures/page/: the web page's tabs, on a desktop and on a phone, light and dark.

No dataset is opened, so that they show only pictures which the project makes itself, and one
photograph: Chelsea the cat, which its photographer, Stefan van der Walt, gave to the public (CC0)
and scikit-image brings along. `python -m benchmarks.screenshots --model DIR_OR_ID` needs
playwright, scikit-image and Chromium; --only draws some of the figures.
"""

import argparse
import io
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

from PIL import Image

from benchmarks._common import ROOT
from model.utils.errors import ConfigError, exit_on_error

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
EXAMPLES = sorted((ROOT / "examples").glob("*.png"))
GAP = 24  # pixels between two phones
QUALITY = 80  # of WebP


def main() -> None:
    """Opens a page, visits every tab and writes what it looks like."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default=str(ROOT), help="folder or hub id (default: the root)")
    parser.add_argument("--output", type=Path, default=ROOT / "figures" / "page")
    parser.add_argument("--only", nargs="+", choices=FIGURES, default=list(FIGURES))
    args = parser.parse_args()
    with exit_on_error():
        executable = os.environ.get("CHROMIUM") or shutil.which("chromium")
        if executable is None:
            raise ConfigError("Chromium is needed: install it, or name it in CHROMIUM.")
        url = _serve(args.model)
    args.output.mkdir(parents=True, exist_ok=True)
    from playwright.sync_api import sync_playwright  # only this benchmark and the tests need it

    with sync_playwright() as playwright, TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        camera = Camera(browser, url, Path(folder))
        for name in args.only:
            path = args.output / f"{name}.webp"
            FIGURES[name](camera).save(path, quality=QUALITY, method=6)
            print(f"{path}: {path.stat().st_size / 1024:.0f} KB")
        browser.close()


def _serve(model: str) -> str:
    """Opens the page in this process and gives its address."""
    import app  # before gradio is imported

    server, listener = app.open_page(
        app.parser().parse_args(["--model", model, "--allow-training"])
    )
    Thread(target=server.run, args=([listener],), daemon=True).start()
    return app.address_of(listener)


def _bundle(folder: Path) -> Path:
    """A zip of drawings, and of a file that is no picture."""
    path = folder / "holiday.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in EXAMPLES:
            archive.write(file, f"drawings/{file.name}")
        noise = Image.effect_noise((64, 64), 90).convert("RGB")
        noise.save(folder / "noise.png")
        archive.write(folder / "noise.png", "noise.png")
        archive.writestr("notes.txt", "no picture")
    return path


class Camera:
    """Visits tabs and takes pictures of them.

    Args:
        browser: Chromium, started.
        url: Of the page.
        folder: For the files that are given to the page.
    """

    def __init__(self, browser: Any, url: str, folder: Path) -> None:
        self._browser, self._url, self._folder = browser, url, folder

    def shot(
        self, tab: str, act: Callable[[Any, Path], None], *, dark: bool = False, phone: bool = False
    ) -> Image.Image:
        """A tab after something was done there."""
        context = self._browser.new_context(
            viewport=PHONE if phone else DESKTOP,
            color_scheme="dark" if dark else "light",
            is_mobile=phone,
            has_touch=phone,
            reduced_motion="reduce",
        )
        page = context.new_page()
        page.goto(self._url)
        page.locator("#examples button").first.wait_for()
        page.get_by_role("tab", name=tab).click()
        act(page, self._folder)
        page.wait_for_timeout(500)
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        context.close()
        return picture


def photograph(page: Any, folder: Path) -> None:
    """A photograph of one of the classes."""
    from skimage import data  # the other figures do without

    Image.fromarray(data.chelsea()).save(folder / "chelsea.png")
    page.locator("#picture-file").set_input_files(folder / "chelsea.png")
    page.locator("#stage .heat").wait_for()


def classify(page: Any, folder: Path) -> None:
    """A picture of one of the classes."""
    page.get_by_role("button", name="Drawing: ship").click()
    page.locator("#stage .heat").wait_for()


def riddle(page: Any, folder: Path) -> None:
    """A picture of something else."""
    page.get_by_role("button", name="Drawing: a word").click()
    page.locator("#stage .heat").wait_for()


def many(page: Any, folder: Path) -> None:
    """A zip."""
    page.locator("#many-input").set_input_files(_bundle(folder))
    page.locator("#many-table tbody tr").first.wait_for()


def quality(page: Any, folder: Path) -> None:
    """The cell of the confusion matrix with most mistakes."""
    cells = page.locator("#confusion-matrix button.wrong")
    cells.evaluate_all(
        "all => all.reduce((a, b) => +b.textContent > +a.textContent ? b : a).click()"
    )
    page.locator("#confusion-cell .note").wait_for()


def learn(page: Any, folder: Path) -> None:
    """A training that has been running for a while."""
    page.get_by_role("button", name="Start training").click()
    page.locator("#training-view").get_by_text(" 3 of ").wait_for(timeout=180_000)


def use(page: Any, folder: Path) -> None:
    """Nothing to do."""


FIGURES: dict[str, Callable[[Camera], Image.Image]] = {
    "photograph": lambda camera: camera.shot("Classify", photograph),
    "many": lambda camera: camera.shot("Many images", many),
    "quality": lambda camera: camera.shot("How good is it?", quality),
    "use": lambda camera: camera.shot("Use it", use),
    "phone": lambda camera: _beside(
        camera.shot("Classify", classify, phone=True),
        camera.shot("Classify", riddle, phone=True, dark=True),
        camera.shot("How good is it?", quality, phone=True),
    ),
    "learn": lambda camera: camera.shot("Watch it learn", learn, dark=True),
}


def _beside(*pictures: Image.Image) -> Image.Image:
    """Pictures in one row."""
    width = sum(one.width for one in pictures) + GAP * (len(pictures) - 1)
    row = Image.new("RGB", (width, max(one.height for one in pictures)), "white")
    left = 0
    for one in pictures:
        row.paste(one, (left, 0))
        left += one.width + GAP
    return row


if __name__ == "__main__":
    main()
