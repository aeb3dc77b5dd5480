"""Draws figures/page/: the web page's tabs, on a desktop and on a phone, light and dark.

    pip install playwright scikit-image
    python -m benchmarks.screenshots

Needs Chromium too; --only draws some of the figures. No dataset is opened, so that they show only
pictures which the project makes itself, and one photograph: Chelsea the cat, which its
photographer, Stefan van der Walt, gave to the public (CC0) and scikit-image brings along.
"""

import functools
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

from benchmarks._common import ROOT, browser, options

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
GAP = 24  # pixels between two phones
QUALITY = 80  # of WebP
Act = Callable[[Any, Path], object]
"""Does something in an open tab, with a folder for the files that are given to the page."""
MOST_MISTAKES = "all => all.reduce((a, b) => +b.textContent > +a.textContent ? b : a).click()"


def main() -> None:
    """Opens a page, visits every tab and writes what it looks like."""
    only, output = ([*FIGURES], "of the figures", *FIGURES), (ROOT / "figures" / "page", "folder")
    args = options(__doc__, model=True, only=only, output=output)
    args.output.mkdir(parents=True, exist_ok=True)
    with browser(args.model) as (chromium, url), TemporaryDirectory() as folder:
        shot = functools.partial(picture, chromium, url, Path(folder))
        for name in args.only:
            path = args.output / f"{name}.webp"
            FIGURES[name](shot).save(path, quality=QUALITY, method=6)
            print(f"{path}: {path.stat().st_size / 1024:.0f} KB")


def picture(
    chromium: Any,
    url: str,
    folder: Path,
    tab: str,
    act: Act = lambda page, folder: None,
    *,
    dark: bool = False,
    phone: bool = False,
) -> Image.Image:
    """A tab after something was done there."""
    context = chromium.new_context(
        viewport=PHONE if phone else DESKTOP,
        color_scheme="dark" if dark else "light",
        is_mobile=phone,
        has_touch=phone,
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(url)
    page.locator("#examples button").first.wait_for()
    page.get_by_role("tab", name=tab).click()
    act(page, folder)
    page.wait_for_timeout(500)
    shown = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    context.close()
    return shown


def photograph(page: Any, folder: Path) -> None:
    """A photograph of one of the classes."""
    from skimage import data  # the other figures do without

    Image.fromarray(data.chelsea()).save(folder / "chelsea.png")
    page.locator("#picture-file").set_input_files(folder / "chelsea.png")
    page.locator("#stage .heat").wait_for()


def drawing(name: str) -> Act:
    """One of the examples, answered."""

    def act(page: Any, folder: Path) -> None:
        page.get_by_role("button", name=f"Drawing: {name}").click()
        page.locator("#stage .heat").wait_for()

    return act


def many(page: Any, folder: Path) -> None:
    """A zip of drawings, of noise, and of a file that is no picture."""
    Image.effect_noise((64, 64), 90).convert("RGB").save(folder / "noise.png")
    with zipfile.ZipFile(folder / "holiday.zip", "w") as archive:
        for file in sorted((ROOT / "examples").glob("*.png")):
            archive.write(file, f"drawings/{file.name}")
        archive.write(folder / "noise.png", "noise.png")
        archive.writestr("notes.txt", "no picture")
    page.locator("#many-input").set_input_files(folder / "holiday.zip")
    page.locator("#many-table tbody tr").first.wait_for()


def quality(page: Any, folder: Path) -> None:
    """The cell of the confusion matrix with most mistakes."""
    page.locator("#confusion-matrix button.wrong").evaluate_all(MOST_MISTAKES)
    page.locator("#confusion-cell .note").wait_for()


def learn(page: Any, folder: Path) -> None:
    """A training that has been running for a while."""
    page.get_by_label("ten drawn shapes").check()
    page.get_by_role("button", name="Train", exact=True).click()
    page.locator("#training-view").get_by_text(" 3 of ").wait_for(timeout=180_000)
    page.locator("#training-view").scroll_into_view_if_needed()


def phones(shot: Callable[..., Image.Image]) -> Image.Image:
    """Three phones in one row."""
    shown = (
        shot("Classify", drawing("ship"), phone=True),
        shot("Classify", drawing("a word"), phone=True, dark=True),
        shot("How good is it?", quality, phone=True),
    )
    apart = [
        np.pad(np.asarray(one), ((0, 0), (0, GAP), (0, 0)), constant_values=255) for one in shown
    ]
    return Image.fromarray(np.hstack(apart)[:, :-GAP])


FIGURES: dict[str, Callable[[Callable[..., Image.Image]], Image.Image]] = {
    "photograph": lambda shot: shot("Classify", photograph),
    "many": lambda shot: shot("Many images", many),
    "quality": lambda shot: shot("How good is it?", quality),
    "use": lambda shot: shot("Use it"),
    "phone": phones,
    "learn": lambda shot: shot("Teach it", learn, dark=True),
}


if __name__ == "__main__":
    main()
