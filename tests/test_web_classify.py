"""What the page says about one picture."""

import base64
import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from model.inference.classifier import Explanation, Prediction
from model.utils.errors import ConfigError, ImageError
from web import cards, classify, examples, pictures, uploads
from web.models import TRAINED, Models

DRAWN = examples.Examples(("cat",), None)
SHIP = next(key for key, one in DRAWN.all().items() if one.name == "Drawing: ship")


@pytest.fixture(scope="module")
def models() -> Models:
    return Models()


@pytest.fixture
def desk(models: Models) -> classify.Desk:
    return classify.Desk(models, DRAWN)


def _prediction(**changes: Any) -> Prediction:
    values = dict(verdict="confident", sentence="This is a cat.", scope=1.0, box=(0, 0, 8, 8))
    names = {"cat": 0.9, "<dog>": 0.1}
    return Prediction("cat", 0.9, names, **(values | changes))  # type: ignore[arg-type]


def test_the_verdict_comes_first_and_the_explanation_after_it(
    models: Models, desk: classify.Desk
) -> None:
    first, second = desk.look(SHIP, models.names)
    assert first[0] == SHIP
    assert "ship" in first[1]
    assert first[2]["value"] == "ship"
    assert 'class="heat"' in second[3]
    assert len(re.findall("<img", second[6])) == 3  # a sheet for each stage


def test_an_unreadable_picture_gets_a_sentence(
    models: Models, desk: classify.Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    (tmp_path / "notes.png").write_text("no picture")
    (shown,) = desk.look(str(tmp_path / "notes.png"), models.names)
    assert shown[0] is None
    assert "not a picture" in shown[1]
    (shown,) = desk.look("/etc/passwd", models.names)
    assert "was not uploaded" in shown[1]


def test_nothing_happens_before_there_is_a_picture(models: Models, desk: classify.Desk) -> None:
    assert list(desk.look(None, models.names)) == []
    assert desk.explain(None, "cat", models.names) == (gr.skip(),) * 3


def test_a_class_that_a_model_does_not_know_gets_a_sentence(
    models: Models, desk: classify.Desk
) -> None:
    _, legend, _ = desk.explain(SHIP, "<unicorn>", models.names)
    assert "No such class" in legend


def test_a_model_that_is_gone_is_replaced_by_the_first(desk: classify.Desk) -> None:
    first, _ = desk.look(SHIP, ["gone"])
    assert "ship" in first[1]


@pytest.mark.parametrize("verdict", ["confident", "unsure", "none"])
def test_names_are_text(verdict: str) -> None:
    html = cards.answer(_prediction(verdict=verdict, sentence="<i>x</i>"), "<b>model</b>")
    assert "<dog>" not in html
    assert "<b>model" not in html
    assert "<i>x" not in html


def test_none_of_them_states_no_certainty() -> None:
    assert "90.0" not in cards.answer(_prediction(verdict="none")).split("<ol")[0]


def test_the_heat_lies_over_the_part_that_was_looked_at() -> None:
    heat = np.zeros((4, 4), np.float32)
    explanation = Explanation("cat", (50, 0, 150, 100), np.zeros((4, 4, 3), np.uint8), heat)
    html = cards.stage(Image.new("RGB", (200, 100)), explanation)
    assert "left: 25.00%; top: 0.00%; width: 50.00%; height: 100.00%" in html
    assert "--ratio: 2.0000" in html


def test_heat_is_blue_for_and_rust_against_and_clear_where_there_is_nothing() -> None:
    heat = np.array([[1.0, -1.0], [0.0, 0.5]], np.float32)
    pixels = _pixels(pictures.heat_uri(heat))
    assert pixels[0, 0, 2] > pixels[0, 0, 0]  # blue
    assert pixels[0, 1, 0] > pixels[0, 1, 2]  # rust
    assert pixels[1, 0, 3] == 0
    assert 0 < pixels[1, 1, 3] < pixels[0, 0, 3]


def test_the_strongest_maps_are_shown() -> None:
    maps = np.zeros((40, 3, 3), np.float32)
    maps[7, 1, 1], maps[23, 0, 0] = 1, 2
    assert np.array_equal(pictures.strongest(maps)[:2], maps[[23, 7]])
    assert _pixels(pictures.sheet_uri(maps)).shape == (
        124,
        508,
        4,
    )  # two rows of eight, 60 wide, gaps of 4


def test_a_large_photo_is_sent_small() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (900, 3000, 3), np.uint8))
    uri = pictures.photo_uri(image)
    assert uri.startswith("data:image/jpeg")
    assert _image(uri).size == (768, 230)


def test_drawn_examples_can_be_read_and_fit_the_classes(shapes: Path) -> None:
    drawn = examples.Examples(("cat", "dog"), None).all()
    assert len(drawn) >= 4
    for one in drawn.values():
        assert pictures.opened(one.content).mode == "RGB"
    assert any("star" in one.name for one in examples.Examples(("crescent",), None).all().values())
    real = examples.Examples(("cross",), str(shapes)).all()
    assert [one.name for one in list(real.values())[:3]] == [
        f"Test image: {name}" for name in ("cross", "ring", "stripes")
    ]


def test_a_dataset_that_cannot_be_reached_leaves_the_drawings() -> None:
    assert len(examples.Examples(("cat",), "no/such-dataset").all()) >= 4


def test_only_uploads_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads" / "a").write_bytes(b"a")
    (tmp_path / "secret").write_bytes(b"s")
    (tmp_path / "uploads" / "link").symlink_to(tmp_path / "secret")
    assert uploads.content_of(str(tmp_path / "uploads" / "a")) == b"a"
    tricks = ("secret", "uploads/../secret", "uploads/link", "uploads", "uploads/b", "a\0b")
    paths: list[object] = [str(tmp_path / trick) for trick in tricks]
    for path in [*paths, "", None, {}, "http://a/b"]:
        with pytest.raises(ImageError, match="was not uploaded"):
            uploads.content_of(path)


def test_models_have_different_names(trained: Path) -> None:
    models = Models([trained, trained, "."])
    assert models.names == ["trained", "trained (2)", "cifarnet_small"]
    assert models.classifier().label_names == ("cross", "ring", "stripes")
    assert (models.results() or {})["dataset"]["label_names"] == ["cross", "ring", "stripes"]
    with pytest.raises(ConfigError, match="no longer here"):
        models.classifier("other")


def test_a_trained_model_replaces_the_one_before_it(trained: Path) -> None:
    models = Models()
    for network in ("first", "second"):
        name = models.register(trained, SimpleNamespace(network=network, dataset="shapes"))
        assert name == f"{network} on shapes, {TRAINED}"
    assert models.names == ["cifarnet_small", name]


def _image(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))


def _pixels(uri: str) -> np.ndarray:
    return np.asarray(_image(uri)).astype(int)
