"""What the page says about one picture."""

import base64
import io
import threading
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from model.inference.crops import Picture
from model.inference.prediction import Explanation, Prediction
from model.utils.errors import ConfigError
from web import cards, classify, examples, pictures
from web.answers import read
from web.models import Models
from web.site import Site

DRAWN = examples.Examples(("cat",), None)
SHIP = next(key for key, one in DRAWN.ready.items() if one.name == "Drawing: ship")


@pytest.fixture(scope="module")
def site() -> Site:
    return Site(Models())


@pytest.fixture
def desk(site: Site) -> classify.Desk:
    return desk_of(site, DRAWN)


def desk_of(site: Site, offered: examples.Examples) -> classify.Desk:
    return classify.Desk("page", "file", site.models.chosen, site.journal, offered.content)


def _prediction(**changes: Any) -> Prediction:
    values = dict(verdict="confident", sentence="This is a cat.", scope=1.0, box=(0, 0, 8, 8))
    names = {"cat": 0.9, "<dog>": 0.1}
    return Prediction("cat", 0.9, names, **(values | changes))  # type: ignore[arg-type]


def test_what_cannot_be_read_gets_a_sentence(
    desk: classify.Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    (tmp_path / "notes.png").write_text("no picture")
    for path in (str(tmp_path / "notes.png"), "/etc/passwd"):
        (shown,) = desk.look(path, [])
        assert shown[0] == ""
        assert "That did not work" in shown[1]
        assert desk.explain(path, "cat", [])[0] == gr.skip()
    assert "<img" not in desk.explain(SHIP, "<unicorn>", [])[1]
    assert list(desk.look("", [])) == []  # before there is a picture nothing happens
    assert desk.explain("", "cat", []) == (gr.skip(),) * 3


@pytest.mark.parametrize("verdict", ["confident", "unsure", "none"])
def test_names_are_text(verdict: str) -> None:
    html = cards.answer(_prediction(verdict=verdict, sentence="<i>x</i>"), "<b>model</b>")
    for markup in ("<dog>", "<b>model", "<i>x"):
        assert markup not in html
    assert ("90.0" in html.split("<ol")[0]) is (verdict != "none")  # none of them: no certainty


def test_heat_is_blue_for_and_rust_against_and_clear_where_there_is_nothing() -> None:
    heat = np.array([[1.0, -1.0], [0.0, 0.5]], np.float32)
    pixels = np.asarray(_image(pictures.heat_uri(heat))).astype(int)
    assert pixels[0, 0, 2] > pixels[0, 0, 0]  # blue
    assert pixels[0, 1, 0] > pixels[0, 1, 2]  # rust
    assert pixels[1, 0, 3] == 0
    assert 0 < pixels[1, 1, 3] < pixels[0, 0, 3]
    image = Image.new("RGB", (100, 50))
    html = cards.stage(Picture(image, (200, 100)), Explanation("cat", (50, 0, 150, 100), *_seen()))
    assert "left: 25.00%; top: 0.00%; width: 50.00%; height: 100.00%" in html
    assert "--ratio: 2.0000" in html


def _seen() -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.float32)


def test_the_strongest_maps_are_shown() -> None:
    maps = np.zeros((40, 3, 3), np.float32)
    maps[7, 1, 1], maps[23, 0, 0] = 1, 2
    assert np.array_equal(pictures.strongest(maps)[:2], maps[[23, 7]])
    # Two rows of eight, 60 wide, gaps of 4.
    assert _image(pictures.sheet_uri(maps)).size == (508, 124)


def test_a_large_photo_is_sent_small() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (900, 3000, 3), np.uint8))
    uri = pictures.photo_uri(image)
    assert uri.startswith("data:image/jpeg")
    assert _image(uri).size == (768, 230)


def test_examples_can_be_read_and_fit_the_classes(shapes: Path) -> None:
    for one in DRAWN.ready.values():
        assert read(one.content).image.mode == "RGB"
    shaped = examples.Examples(("crescent",), None)
    assert any("star" in one.name for one in shaped.ready.values())
    assert not shaped.came()
    real = examples.Examples(("cross",), str(shapes))
    assert real.came(60)
    assert [one.name for one in real.ready.values()][:3] == [
        f"Test image: {name}" for name in ("cross", "ring", "stripes")
    ]
    nothing = examples.Examples(("cat",), "no/such-dataset")
    assert not nothing.came(60)
    assert nothing.ready.keys() == DRAWN.ready.keys()
    assert "does not know" in classify._gallery(DRAWN.ready, ("cat", "dog"))
    assert "does not know" not in classify._gallery(DRAWN.ready, ("cat", "ship"))
    assert "does not know" not in classify._gallery(DRAWN.ready, ("Cat", "Ship"))
    drawn = next(iter(DRAWN.ready.values()))
    capital = {"0": examples.Example("Test image", "Ship", drawn.content)}
    assert "does not know" not in classify._gallery(capital, ("Ship",))


def test_no_answer_waits_for_examples(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()

    def opens(name: str) -> None:
        go_on.wait(60)
        raise ConfigError("Not now.")

    monkeypatch.setattr(examples, "open_dataset", opens)
    slow = examples.Examples(("cat",), "slow/dataset")
    assert "ship" in next(desk_of(site, slow).look(SHIP, []))[1]
    assert slow._thread.is_alive()
    go_on.set()
    assert not slow.came()


def test_models_have_different_names(trained: Path) -> None:
    models = Models([trained, trained, "."])
    assert models.names == ["trained", "trained (2)", "cifarnet_base"]
    assert models.classifier().label_names == ("cross", "ring", "stripes")
    assert (models.results() or {})["dataset"]["label_names"] == ["cross", "ring", "stripes"]
    assert models.classifier("gone") is models.classifier()


def _image(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
