"""Odd and hostile files: each gets an answer or a sentence, and the same page goes on serving."""

import io
import re
from pathlib import Path

import httpx
import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from benchmarks.hostile import as_a_table, over_the_api
from benchmarks.hostile_files import ARCHIVES, FILES
from model.utils.errors import ImageError
from web.answers import answers, read
from web.journal import Entry
from web.models import MAX_PIXELS, Models
from web.site import Site

SHIP = (ROOT / "examples" / "ship.png").read_bytes()
REMEDY = re.compile(r"\b(save|scale|choose|convert|send|download|divide)\b", re.IGNORECASE)
QUICK = ("PNG of 1 x 1", "JPEG, CMYK", "EXIF orientation 6", "empty", "PDF", "damaged PNG 1")
ANSWERED = re.compile(  # what these show is clear, so that the answer can be checked
    r"PNG of (1 x 1|1 x 10,000|10,000 x 1|20 megapixels.*|50,000 x 400)|PNG, 16 bit|PNG and zip .*"
    r"|JPEG (of (80 megapixels|two .*|65,500 .*)|with a broken profile|with broken EXIF)"
    r"|JPEG, CMYK|GIF of 5,000 frames|animated WebP|TIFF of floats|EXIF orientation (6|65535)"
)
REFUSED = re.compile(
    r"empty|random bytes|PNG of (50,000 x 50,000|80 mega.*)|progressive JPEG.*|JPEG in three.*"
    r"|(GIF|TIFF) that claims .*|SVG.*|EPS|PDF|FITS|HTML|pickle|zip named .png|.*are no numbers"
)
SAID = {
    "empty zip": "There was no picture in there",
    "truncated zip": "1 not read",
    "zip bomb": "3 not read",
    "zip of overlapping entries": "not read",
    "zip with ../": "1 not read",
    "zip in a zip in a zip": "1 not read",
    "zip of 10,000 files": "1 not read",
    "zip of 600 pictures": "501 files",
    "zip with a link": "1 not read",
    "zip of long and odd names": "2 files",
    "damaged zip": "1 not read",
}


@pytest.fixture(scope="module")
def site() -> Site:
    return Site(Models())


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_gets_an_answer_or_a_sentence(default_url: str, name: str) -> None:
    with httpx.Client(base_url=default_url, timeout=120) as client:
        said = over_the_api(client, FILES[name]())
        assert '"label": "ship"' in over_the_api(client, SHIP)
        assert client.get("healthz").json()["status"] == "ok"
    answered = '"label"' in said
    assert answered or (REMEDY.search(said) and "error" in said), said
    for word in ("Traceback", "/tmp/", str(ROOT), "went wrong", "site-packages"):
        assert word not in said
    assert answered or not ANSWERED.fullmatch(name), said
    assert not answered or not REFUSED.fullmatch(name), said


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in FILES]
)
def test_the_page_reads_it_or_says_why_not(site: Site, name: str) -> None:
    classifier = site.models.classifier()
    content = FILES[name]()
    (found,) = answers(classifier, [content], Entry())
    if found.problem:
        assert REMEDY.search(str(found.problem))
        assert not ANSWERED.fullmatch(name)
        with pytest.raises(ImageError):
            read(content)
        return
    assert not REFUSED.fullmatch(name)
    assert found.picture is not None
    if name == "JPEG of 65,500 x 1,300":  # more of it is read to be shown, here too much
        with pytest.raises(ImageError, match="20,000,000"):
            read(content)
        return
    picture = read(content)
    assert picture.image.mode == "RGB"
    assert picture.image.width * picture.image.height <= MAX_PIXELS
    assert found.picture.size == picture.size  # the original's, whatever was read of it


def test_what_is_shown_stands_upright_and_opaque() -> None:
    ship = Image.open(io.BytesIO(SHIP)).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # as a phone stores it: lying on its side, with a note how to turn it
    lying, clear = io.BytesIO(), io.BytesIO()
    ship.transpose(Image.Transpose.ROTATE_90).save(lying, "JPEG", exif=exif, quality=95)
    turned = read(lying.getvalue())
    assert turned.image.size == turned.size == ship.size
    assert np.abs(np.asarray(turned.image).astype(int) - np.asarray(ship)).mean() < 4
    Image.new("RGBA", (9, 9), (0, 0, 0, 0)).save(clear, "PNG")
    assert read(clear.getvalue()).image.getpixel((4, 4)) == (255, 255, 255)


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHIVES)
def test_a_hostile_archive_becomes_a_table(site: Site, name: str, tmp_path: Path) -> None:
    path = tmp_path / "in" / "pictures.zip"
    path.parent.mkdir()
    path.write_bytes(ARCHIVES[name]())
    assert SAID[name] in as_a_table(site, path)
    assert sorted(tmp_path.rglob("*")) == [path.parent, path]
