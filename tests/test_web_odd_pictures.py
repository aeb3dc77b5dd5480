"""Odd pictures, as people upload them: each gets a sensible answer, or a sentence with a remedy.

Every picture goes the way of the page, the way of the API and the way of a batch.
"""

import io
import re
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image, ImageCms, ImageDraw, ImageFont, features

from model.utils.errors import ImageError
from web import classify, many, pictures
from web.archive import Item
from web.examples import Examples
from web.models import Models

SHIP = Image.open(ROOT / "examples" / "ship.png").convert("RGB")
REMEDY = re.compile(r"\b(save|scale|choose|convert|divide|download)\b", re.IGNORECASE)


def _file(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _turned() -> bytes:
    """As a phone stores it: lying on its side, with a note how to turn it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return _file(SHIP.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif, quality=95)


def _transparent(mode: str) -> bytes:
    image = SHIP.convert("RGBA")
    image.putalpha(Image.linear_gradient("L").point(lambda v: 255 if v > 20 else 0))
    if mode == "P":
        return _file(image.quantize(64), "PNG")
    return _file(image.convert(mode), "PNG")


def _text() -> bytes:
    image = Image.new("RGB", (900, 500), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(22)
    for line in range(16):
        draw.text((30, 20 + 29 * line), "Terms and conditions, page 3 of 17. " * 2, "black", font)
    return _file(image, "PNG")


def _animation() -> bytes:
    frames = [Image.new("RGB", SHIP.size, colour) for colour in ("red", "blue")]
    return _file(SHIP, "GIF", save_all=True, append_images=frames, duration=50)


def _sixteen_bits() -> bytes:
    grey = np.asarray(SHIP.convert("L")).astype(np.uint16) * 257
    return _file(Image.fromarray(grey), "PNG")


def _floats() -> bytes:
    grey = np.asarray(SHIP.convert("L")).astype(np.float32) / 255
    return _file(Image.fromarray(grey), "TIFF")


def _large() -> bytes:
    """A photo of 4000 x 3000 pixels with the ship in its middle."""
    photo = Image.new("RGB", (4000, 3000), SHIP.getpixel((2, 2)))
    photo.paste(SHIP.resize((3000, 3000)), (500, 0))
    return _file(photo, "JPEG")


def _profiled() -> bytes:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return _file(SHIP, "JPEG", icc_profile=profile, quality=95)


def _laid_out_for_print() -> bytes:
    return _file(SHIP.convert("CMYK"), "JPEG", quality=95)


# A picture, and what it shows; None: any answer will do, as long as there is one.
ANSWERED: dict[str, tuple[Callable[[], bytes], str | None]] = {
    "a phone photo that lies on its side": (_turned, "ship"),
    "a transparent logo": (lambda: _transparent("RGBA"), "ship"),
    "a palette with transparency": (lambda: _transparent("P"), "ship"),
    "grey with transparency": (lambda: _transparent("LA"), None),
    "a screenshot of text": (_text, None),
    "a photo of 12 megapixels": (_large, "ship"),
    "one pixel": (lambda: _file(Image.new("RGB", (1, 1), "teal"), "PNG"), None),
    "an animated GIF": (_animation, "ship"),
    "a CMYK JPEG": (_laid_out_for_print, "ship"),
    "16-bit grey": (_sixteen_bits, None),
    "WebP": (lambda: _file(SHIP, "WEBP", quality=95), "ship"),
    "a grey TIFF": (lambda: _file(SHIP.convert("L"), "TIFF"), None),
    "a float TIFF": (_floats, None),
    "a compressed TIFF": (lambda: _file(SHIP, "TIFF", compression="tiff_lzw"), "ship"),
    "black and white PNG": (lambda: _file(SHIP.convert("1"), "PNG"), None),
    "black and white BMP": (lambda: _file(SHIP.convert("1"), "BMP"), None),
    "very tall and thin": (lambda: _file(Image.new("RGB", (1, 10_000), "teal"), "PNG"), None),
    "very wide and flat": (lambda: _file(Image.new("L", (10_000, 2)), "PNG"), None),
    "a colour profile": (_profiled, "ship"),
    "a progressive JPEG": (lambda: _file(SHIP, "JPEG", progressive=True, quality=95), "ship"),
    "pixels that are not square": (lambda: _file(SHIP, "PNG", dpi=(1, 30_000)), "ship"),
}
if features.check("avif"):
    ANSWERED["AVIF"] = (lambda: _file(SHIP, "AVIF", quality=90), "ship")


def _bomb() -> bytes:
    """A PNG that says it has 60,000 x 60,000 pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = zlib.crc32(kind + body).to_bytes(4, "big")
        return len(body).to_bytes(4, "big") + kind + body + check

    head = (60_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels)


REFUSED: dict[str, Callable[[], bytes]] = {
    "an empty file": lambda: b"",
    "half a JPEG": lambda: _file(SHIP, "JPEG")[:2000],
    "half a PNG": lambda: _file(SHIP, "PNG")[:5000],
    "a text file named .png": lambda: b"Dear diary,\n" * 50,
    "a PDF": lambda: _file(SHIP, "PDF"),
    "SVG": lambda: b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
    "HEIC": lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(400),
    "a web page": lambda: b"<!doctype html><title>404</title>" * 9,
    "PostScript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
    "a bomb": _bomb,
    "floats beyond one": lambda: _file(Image.fromarray(np.full((9, 9), 3.5, np.float32)), "TIFF"),
}


@pytest.fixture(scope="module")
def models() -> Models:
    return Models()


@pytest.fixture
def upload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], str]:
    """Puts a content where gradio puts uploads; gives its path."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))

    def put(content: bytes) -> str:
        path = tmp_path / "upload"
        path.write_bytes(content)
        return str(path)

    return put


def _said(models: Models, path: str) -> list[str]:
    """What the page shows as answer and as picture, one after the other."""
    desk = classify.Desk(models, Examples(models.classifier().label_names, None))
    return [str(shown[i]) for shown in desk.look(path, models.names) for i in (1, 3)]


@pytest.mark.parametrize("name", ANSWERED)
def test_odd_pictures_get_an_answer(
    models: Models, upload: Callable[[bytes], str], name: str
) -> None:
    make, shows = ANSWERED[name]
    content = make()
    found = models.classifier()(content)
    assert found.label in models.classifier().label_names
    if shows:
        assert found.label == shows
    answer, _, _, stage = _said(models, upload(content))
    assert found.sentence in answer
    assert 'class="photo"' in stage
    assert 'class="heat"' in stage
    (row,) = many.classified(models.classifier(), [Item("odd", content)])
    assert row.prediction == found
    assert row.thumbnail


def test_what_is_shown_stands_upright_and_opaque() -> None:
    turned = pictures.opened(_turned())
    assert turned.size == SHIP.size
    difference = np.abs(np.asarray(turned).astype(int) - np.asarray(SHIP))
    assert difference.mean() < 4  # the camera's losses
    logo = pictures.opened(_transparent("RGBA"))
    assert logo.getpixel((128, 0)) == (255, 255, 255)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_gets_a_sentence_with_a_remedy(
    models: Models, upload: Callable[[bytes], str], name: str
) -> None:
    content = REFUSED[name]()
    with pytest.raises(ImageError) as caught:
        models.classifier()(content)
    assert REMEDY.search(str(caught.value)), caught.value
    answer, stage = _said(models, upload(content))
    assert "That did not work" in answer
    assert REMEDY.search(answer)
    assert "Drop a picture here" in stage
    (row,) = many.classified(models.classifier(), [Item("odd", content)])
    assert row.prediction is None
    assert REMEDY.search(row.problem)


def test_odd_pictures_do_not_spoil_a_batch(models: Models) -> None:
    good = [make() for make, shows in ANSWERED.values() if shows]
    bad = [make() for make in REFUSED.values()]
    mixed = [Item(str(i), one) for i, one in enumerate([*good, *bad])]
    rows = many.classified(models.classifier(), mixed)
    assert [row.prediction.label if row.prediction else "" for row in rows] == ["ship"] * len(
        good
    ) + [""] * len(bad)
