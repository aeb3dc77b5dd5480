"""Odd and hostile files: each gets an answer or a sentence, and the same page goes on serving."""

import re
from pathlib import Path

import httpx
import pytest
from conftest import ROOT

from benchmarks.hostile import as_a_table, over_the_api
from benchmarks.hostile_files import ARCHIVES, FILES
from model.utils.errors import ImageError
from web.answers import read
from web.models import Models
from web.site import Site

SHIP = (ROOT / "examples" / "ship.png").read_bytes()
REMEDY = re.compile(r"\b(save|scale|choose|convert|send|download|divide)\b", re.IGNORECASE)
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


def test_what_takes_too_much_memory_to_be_shown_is_refused() -> None:
    with pytest.raises(ImageError, match="20,000,000"):
        read(FILES["JPEG of 65,500 x 1,300"]())


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHIVES)
def test_a_hostile_archive_becomes_a_table(site: Site, name: str, tmp_path: Path) -> None:
    path = tmp_path / "in" / "pictures.zip"
    path.parent.mkdir()
    path.write_bytes(ARCHIVES[name]())
    assert SAID[name] in as_a_table(site, path)
    assert sorted(tmp_path.rglob("*")) == [path.parent, path]
