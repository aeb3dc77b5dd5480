"""The figures: written whole, readable, and titled with what they show."""

import io
import itertools
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from model.evaluation import figures
from model.evaluation.style import STYLE

LONG = ("aquarium_fish", "pickup_truck", "sweet_pepper", "lawn_mower", "willow_tree")
FILES = ("confusion_matrix", "reliability", "per_class", "learning_curves")


def names_of(classes: int) -> list[str]:
    return [f"{LONG[i % len(LONG)]}{i}" for i in range(classes)]


def make_report(classes: int = 10, wrong: int = 30, seed: int = 0) -> dict[str, Any]:
    """A REPORT of results.json: 100 images a class, `wrong` of the first taken for the last."""
    names = names_of(classes)
    rng = np.random.default_rng(seed)
    matrix = np.diag(rng.integers(60, 100, classes))
    matrix[0, 0] = 100 - wrong
    matrix[0, -1] = wrong
    support, predicted, hits = matrix.sum(1), matrix.sum(0), np.diagonal(matrix)
    count = int(matrix.sum())
    mistake = {"true": names[0], "predicted": names[-1]}
    edges = np.linspace(0, 1, 16)
    filled = [(i, count // 5) for i in (7, 9, 12, 13)] + [(14, count - 4 * (count // 5))]
    sizes = dict(filled)
    return {
        "count": count,
        "accuracy": float(hits.sum() / count),
        "ece": 0.021,
        "per_class": {
            name: {
                "precision": float(hits[i] / predicted[i]),
                "recall": float(hits[i] / support[i]),
                "f1": float(2 * hits[i] / (predicted[i] + support[i])),
                "support": int(support[i]),
            }
            for i, name in enumerate(names)
        },
        "confusion_matrix": matrix.tolist(),
        "most_confused": [mistake | {"count": wrong}] if wrong else [],
        "reliability": [
            {
                "low": float(edges[i]),
                "high": float(edges[i + 1]),
                "count": sizes.get(i, 0),
                "confidence": float(edges[i] + 0.03) if i in sizes else None,
                "accuracy": float(edges[i] + 0.01) if i in sizes else None,
            }
            for i in range(15)
        ],
    }


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
    report = make_report(classes)
    return {
        "dataset": {"label_names": names_of(classes)},
        "test": {"plain": report, "tta": report},
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
    report, names = make_report(classes), names_of(classes)
    with matplotlib.rc_context(STYLE):
        return {
            "confusion_matrix": figures.confusion_matrix(report, names, "test"),
            "reliability": figures.reliability(report, "test"),
            "per_class": figures.per_class(report, "test"),
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


def test_what_is_missing_is_left_out(tmp_path: Path) -> None:
    results = make_results()
    results |= {"validation": results.pop("test"), "test": None}
    del results["training"]
    written = figures.write_figures(tmp_path, results)
    assert {path.stem for path in written} == {"confusion_matrix", "reliability", "per_class"}


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


def test_confusion_matrix_tells_the_worst_pair_and_numbers_cells() -> None:
    found = texts(draw_all(10)["confusion_matrix"])
    assert "aquarium_fish0 is taken for willow_tree9 30 times" in found
    assert "70.0" in found  # the diagonal, in percent
    assert "30" in found
    assert "0" not in found


def test_confusion_matrix_of_100_classes_has_names_but_no_numbers() -> None:
    figure = draw_all(100)["confusion_matrix"]
    for labels in (figure.axes[0].get_xticklabels(), figure.axes[0].get_yticklabels()):
        assert [label.get_text() for label in labels] == names_of(100)
    assert "70.0" not in texts(figure)


def test_a_model_without_mistakes_has_its_figures_too(tmp_path: Path) -> None:
    results = make_results() | {"test": {"plain": make_report(wrong=0)}}
    assert len(figures.write_figures(tmp_path, results)) == 4
    for wrong, title in (
        (0, "No test image is misclassified"),
        (1, "aquarium_fish0 is taken for willow_tree9 once"),
    ):
        figure = figures.confusion_matrix(make_report(wrong=wrong), names_of(10), "test")
        assert title in texts(figure)


def test_titles_say_how_far_confidence_is_off_and_which_class_is_hardest() -> None:
    drawn = draw_all(10)  # every bin states two points more than it reaches
    assert "Confidence is on average 2.0 points too high" in texts(drawn["reliability"])
    assert any("aquarium_fish0 is the hardest" in t for t in texts(drawn["per_class"]))


def test_learning_curves_tell_the_best_epoch() -> None:
    training = make_training(4)
    training["epochs"][2]["validation_accuracy"] = 0.97
    found = texts(figures.learning_curves(training))
    assert "Validation accuracy reaches 97.0 % in epoch 3 of 4" in found


@pytest.mark.parametrize(("epochs", "validated"), [(1, True), (1, False), (5, False)])
def test_learning_curves_of_few_epochs_or_without_validation(epochs: int, validated: bool) -> None:
    figure = figures.learning_curves(make_training(epochs, validated))
    figure.savefig(io.BytesIO(), format="png")
    assert len(figure.axes) == (2 if validated else 1)
    assert len(figure.axes[0].lines[0].get_xdata()) == epochs  # type: ignore[arg-type]


def test_odd_class_names_are_drawn_as_they_are(tmp_path: Path) -> None:
    odd = ["$x^2$ and $", "飛行機", "a name that is far too long to be written anywhere", "\\frac"]
    report = make_report(4)
    report["per_class"] = dict(zip(odd, report["per_class"].values(), strict=True))
    results = make_results() | {"dataset": {"label_names": odd}, "test": {"plain": report}}
    assert figures.write_figures(tmp_path, results)
