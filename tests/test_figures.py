"""The figures: written whole, readable, and titled with what they show."""

import io
import itertools
from pathlib import Path
from typing import Any

import matplotlib
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from model.evaluation import figures
from model.evaluation.report import report
from model.evaluation.style import STYLE

LONG = ("aquarium_fish", "pickup_truck", "sweet_pepper", "lawn_mower", "willow_tree")
KINDS = ("confusion_matrix", "reliability", "per_class", "learning_curves")
FILES = (*KINDS, "reliability_calibrated")


def names_of(classes: int) -> list[str]:
    return [f"{LONG[i % len(LONG)]}{i}" for i in range(classes)]


def make_report(classes: int = 10, wrong: int = 30) -> dict[str, Any]:
    """100 images a class, `wrong` of the first taken for the last, stated at 60 to 90 %."""
    labels = torch.arange(classes).repeat_interleave(100)  # (N,)
    guesses = labels.clone()
    guesses[:wrong] = classes - 1
    stated = torch.tensor([0.6, 0.7, 0.8, 0.9]).repeat(25 * classes)  # (N,)
    p = ((1 - stated) / (classes - 1))[:, None].repeat(1, classes)  # (N, C)
    p[torch.arange(len(p)), guesses] = stated
    return report(p.log(), labels, names_of(classes))


def make_training(epochs: int, validated: bool = True) -> dict[str, Any]:
    rows = [
        {
            "epoch": e,
            "train_loss": 2 / e,
            "validation_loss": 1.5 / e if validated else None,
            "validation_accuracy": 1 - 0.4 / e if validated else None,
        }
        for e in range(1, epochs + 1)
    ]
    return {"recipe": {"label_smoothing": 0.2}, "epochs": rows}


def make_results(classes: int = 10) -> dict[str, Any]:
    plain = make_report(classes)
    return {
        "dataset": {"label_names": names_of(classes)},
        "test": {"plain": plain, "calibrated": plain},
        "training": make_training(4),
    }


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def ticks_out_of_view(figure: Figure) -> set[Text]:
    """Labels that matplotlib keeps for ticks beyond the axes' limits, and does not draw."""
    found: set[Text] = set()
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            hidden = [t for t in axis.get_major_ticks() if not low <= t.get_loc() <= high]
            found |= {tick.label1 for tick in hidden}
    return found


def draw_all(classes: int) -> dict[str, Figure]:
    plain, names = make_report(classes), names_of(classes)
    with matplotlib.rc_context(STYLE):
        return {
            "confusion_matrix": figures.confusion_matrix(plain, names, "test"),
            "reliability": figures.reliability(plain, "test"),
            "per_class": figures.per_class(plain, "test"),
            "learning_curves": figures.learning_curves(make_training(12)),
        }


def test_complete_files_are_written_the_same_each_time(tmp_path: Path) -> None:
    before, folders = dict(matplotlib.rcParams), [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
        written = figures.write_figures(folder, make_results())
        assert {path.stem for path in written} == set(FILES)
        assert set((folder / "figures").iterdir()) == set(written)
    for name in FILES:
        first, second = ((f / "figures" / f"{name}.png").read_bytes() for f in folders)
        assert first == second
        with Image.open(io.BytesIO(first)) as image:
            image.load()
            assert image.format == "PNG"
            assert min(image.size) > 300
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_no_text_lies_over_another_or_outside(classes: int) -> None:
    for name, figure in draw_all(classes).items():
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        renderer = canvas.get_renderer()
        boxes, outside = {}, ticks_out_of_view(figure)
        for text in figure.findobj(Text):
            label = text.get_text()
            # Text at 45 degrees has a box much larger than itself.
            if label and text.get_visible() and text.get_rotation() != 45 and text not in outside:
                boxes[text] = text.get_window_extent(renderer).padded(-1)
        for text, box in boxes.items():
            inside = box.x0 >= 0 and box.y0 >= 0
            inside &= box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
            assert inside, (name, text)
        for (one, a), (other, b) in itertools.combinations(boxes.items(), 2):
            assert not a.overlaps(b), (name, one, other)


def test_titles_say_what_is_to_be_seen() -> None:
    drawn = {name: texts(figure) for name, figure in draw_all(10).items()}
    matrix = drawn["confusion_matrix"]
    assert "aquarium_fish0 is taken for willow_tree9 30 times" in matrix
    assert {"70.0", "30"} <= set(matrix)  # the diagonal, in percent, and a count
    assert "0" not in matrix
    # 75 % are stated on average, 97 % reached.
    assert "Confidence is on average 22.0 points too low" in drawn["reliability"]
    assert any("aquarium_fish0 is found least often" in t for t in drawn["per_class"])
    even = texts(figures.per_class(make_report(wrong=1), "test"))
    assert "No class is found much less often than the others" in even
    training = make_training(4)
    training["epochs"][2]["validation_accuracy"] = 0.97
    curves = texts(figures.learning_curves(training))
    assert "Validation accuracy reaches 97.0 % in epoch 3 of 4" in curves


def test_what_is_missing_is_left_out_and_no_mistakes_are_no_obstacle(tmp_path: Path) -> None:
    results = make_results() | {"test": {"plain": make_report(wrong=0)}}
    assert {path.stem for path in figures.write_figures(tmp_path, results)} == set(KINDS)
    for wrong, title in (
        (0, "No test image is misclassified"),
        (1, "aquarium_fish0 is taken for willow_tree9 once"),
    ):
        figure = figures.confusion_matrix(make_report(wrong=wrong), names_of(10), "test")
        assert title in texts(figure)


@pytest.mark.parametrize(("epochs", "validated"), [(1, True), (1, False), (5, False)])
def test_learning_curves_of_few_epochs_or_without_validation(epochs: int, validated: bool) -> None:
    figure = figures.learning_curves(make_training(epochs, validated))
    figure.savefig(io.BytesIO(), format="png")
    assert len(figure.axes) == (2 if validated else 1)
    assert len(figure.axes[0].lines[0].get_xdata()) == epochs  # type: ignore[arg-type]


def test_odd_class_names_are_drawn_as_they_are(tmp_path: Path) -> None:
    odd = ["$\\frac$", "飛行機", "a name that is far too long to be written anywhere", "\\frac"]
    plain = make_report(4)
    plain["per_class"] = dict(zip(odd, plain["per_class"].values(), strict=True))
    results = {"dataset": {"label_names": odd}, "validation": {"plain": plain}, "test": None}
    assert {path.stem for path in figures.write_figures(tmp_path, results)} == set(KINDS[:3])
