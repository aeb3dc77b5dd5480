"""The default weights look at parts of a large photo: a small subject in a corner is found."""

import pytest
from conftest import ROOT
from PIL import Image

from model.inference.classifier import Classifier

GREY = (128, 128, 128)
CORNERS = ((0, 0), (160, 0), (80, 160), (20, 130))


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.from_pretrained(ROOT)


def composed(picture: Image.Image, corner: tuple[int, int]) -> Image.Image:
    canvas = Image.new("RGB", (256, 256), GREY)
    canvas.paste(picture.resize((96, 96), Image.Resampling.BICUBIC), corner)
    return canvas


def test_a_subject_in_a_corner_is_found(classifier: Classifier) -> None:
    """Of two subjects in four corners at least half, of which the whole canvas shows too little."""
    found = 0
    for name in ("airplane", "ship"):
        with Image.open(ROOT / "examples" / f"{name}.png") as image:
            picture = image.convert("RGB")
        for left, top in CORNERS:
            photo = composed(picture, (left, top))
            classifier.look_closer = False
            assert classifier(photo).verdict != "confident"
            classifier.look_closer = True
            answer = classifier(photo)
            if not answer.sentence.startswith("Perhaps a"):
                continue
            found += 1
            assert (answer.label, answer.verdict) == (name, "unsure")
            x0, y0, x1, y1 = answer.box  # the part that answered holds most of the subject
            inside = (min(x1, left + 96) - max(x0, left)) * (min(y1, top + 96) - max(y0, top))
            assert inside > 0.5 * (x1 - x0) * (y1 - y0)
    assert found >= 4


def test_an_empty_canvas_is_nothing(classifier: Classifier) -> None:
    assert classifier(Image.new("RGB", (256, 256), GREY)).verdict == "none"
