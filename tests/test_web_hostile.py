"""Hostile files: each gets an answer or a sentence, and the same page goes on serving."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from conftest import ROOT
from pages import served

from benchmarks.hostile import as_a_table, over_the_api
from benchmarks.hostile_files import ARCHIVES, FILES
from model.utils.errors import ImageError
from web import pictures
from web.models import Models
from web.uploads import MAX_PIXELS

SHIP = (ROOT / "examples" / "ship.png").read_bytes()
REMEDY = re.compile(r"\b(save|scale|choose|convert|send|download|divide)\b", re.IGNORECASE)
# What these show is clear, so that the answer can be checked.
ANSWERED = (
    "PNG of 1 x 1",
    "PNG of 1 x 10,000",
    "PNG of 10,000 x 1",
    "PNG of 20 megapixels, RGB",
    "PNG of 20 megapixels, transparent",
    "PNG of 20 megapixels, palette",
    "PNG of 20 megapixels, 16 bit",
    "PNG of 50,000 x 400",
    "JPEG of 80 megapixels",
    "JPEG of two pictures (MPO)",
    "JPEG of 65,500 x 1,300",
    "JPEG, CMYK",
    "JPEG with a broken profile",
    "JPEG with broken EXIF",
    "GIF of 5,000 frames",
    "animated WebP",
    "TIFF of floats",
    "PNG, 16 bit",
    "PNG and zip at once",
    "EXIF orientation 6",
    "EXIF orientation 65535",
)
REFUSED = (
    "empty",
    "random bytes",
    "PNG of 50,000 x 50,000",
    "PNG of 80 megapixels",
    "progressive JPEG of 80 megapixels",
    "JPEG in three scans",
    "GIF that claims 65,535 x 65,535",
    "TIFF that claims 100,000 x 100,000",
    "SVG",
    "SVG that reads a file",
    "EPS",
    "PDF",
    "FITS",
    "HTML",
    "pickle",
    "zip named .png",
    "TIFF of floats that are no numbers",
)


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with (
        tempfile.TemporaryDirectory() as folder,
        served(env={"GRADIO_TEMP_DIR": folder}) as url,
        httpx.Client(base_url=url, timeout=120) as asking,
    ):
        yield asking
        assert '"label": "ship"' in over_the_api(asking, SHIP)
        assert asking.get("healthz").json() == {
            "status": "ok",
            "waiting": 0,
            "models": ["cifarnet_small"],
        }


def test_there_are_many_kinds() -> None:
    assert len(FILES) + len(ARCHIVES) >= 60
    assert set(ANSWERED) | set(REFUSED) <= set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_gets_an_answer_or_a_sentence(client: httpx.Client, name: str) -> None:
    said = over_the_api(client, FILES[name]())
    answered = '"label"' in said
    assert answered or (REMEDY.search(said) and "error" in said), said
    for word in ("Traceback", "/tmp/", str(ROOT), "went wrong", "site-packages"):
        assert word not in said
    assert answered or name not in ANSWERED, said
    assert not answered or name not in REFUSED, said


@pytest.mark.parametrize("name", FILES)
def test_the_page_reads_it_or_says_why_not(name: str) -> None:
    with suppress(ImageError):
        image = pictures.opened(FILES[name]())
        assert image.mode == "RGB"
        assert image.width * image.height <= MAX_PIXELS


@pytest.fixture(scope="module")
def models() -> Models:
    return Models()


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


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_hostile_archive_becomes_a_table(models: Models, name: str, tmp_path: Path) -> None:
    path = tmp_path / "in" / "pictures.zip"
    path.parent.mkdir()
    path.write_bytes(ARCHIVES[name]())
    assert SAID[name] in as_a_table(models, path)
    assert sorted(tmp_path.rglob("*")) == [path.parent, path]
