"""How well a model tells pictures that show none of its classes.

    python -m benchmarks.out_of_scope --dataset uoft-cs/cifar10

Needs scikit-image, scikit-learn and gradio, whose pictures it uses. Compares scores on seven kinds
of foreign pictures, scaled to the network's size, against all test images: AUROC, and the share
wrongly accepted at the threshold that keeps 95 % of the validation images. Also asks the classifier
about the same pictures as they are. --near uoft-cs/cifar100 adds test images of classes that were
never outliers (`model.data.HELD_OUT`). Writes "scope" in the model's results.json and a plot.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score
from torch import Tensor

from benchmarks._common import DATASET, as_arrays, load, options, plot, record
from benchmarks.outliers import outliers
from model import hub
from model.data import HELD_OUT, open_dataset, train_validation_split
from model.evaluation import style
from model.inference.calibration import TARGET_TPR, energy
from model.inference.classifier import Classifier
from model.inference.logits import both_views, predict
from model.utils.errors import exit_on_error
from model.utils.images import Pixels

METHOD = "energy"  # what classifiers use


def main() -> None:
    """Measures, prints, writes."""
    asked: Any = {
        "count": (500, "of each kind"),
        "near": ("", "with classes of model.data.HELD_OUT"),
    }
    args = options(__doc__, model=True, folder=False, dataset=DATASET, **asked)
    with exit_on_error():
        classifier, source = load(args)
        recipe = hub.read_config(args.model)["cifarnet"]["recipe"]
        train, test = source.splits["train"], source.splits["test"].load().images
        _, rows = train_validation_split(train.labels, recipe["val_size"], recipe["seed"])
        held_back = train.load(rows).images
        near = held_out(args.near, classifier.image_size) if args.near else {}
    foreign = outliers(args.count, test)

    def look(images: Tensor) -> Tensor:
        return predict(classifier.network, images, both_views)[1]  # (N, C)

    inside, unseen = look(test), look(held_back)
    seen = {
        kind: look(torch.stack([classifier.preprocess(one) for one in some]))
        for kind, some in foreign.items()
    }
    found = compare(classifier, inside, unseen, seen)
    as_sent = {kind: answered(classifier, some) for kind, some in foreign.items()}
    print(f"as sent: {as_sent}")
    best = found[METHOD]
    content = {
        "method": METHOD,
        "threshold": classifier.calibration.known,
        "kept": best["kept"],
        "images": {"inside": len(test), "each kind": args.count},
        **{key: best[key] for key in ("kinds", "mean_auroc", "mean_accepted")},
        "as_sent": {"kinds": as_sent, "mean": _mean(as_sent)},
        "methods": found,
    }
    if near:
        images = near.pop("images")
        best = compare(classifier, inside, unseen, {"near": look(images)})[METHOD]
        sent = answered(classifier, as_arrays(images))
        content["near"] = near | {"images": len(images)} | best["kinds"]["near"] | sent
        print(f"near: {content['near']}")
    plot(lambda: draw(found), args.model / "figures" / "out_of_scope.png")
    record(args, "scope", content)


def compare(
    classifier: Classifier, inside: Tensor, unseen: Tensor, foreign: dict[str, Tensor]
) -> dict[str, dict[str, Any]]:
    """What `measure` says of each score, of logits (N, C); that of classifiers by their threshold.

    Args:
        classifier: Knows a temperature and a threshold.
        inside: Of test images.
        unseen: Of held-back images, which decide the other thresholds.
        foreign: Of foreign pictures, by kind.
    """
    scores: dict[str, Callable[[Tensor], Tensor]] = {
        METHOD: energy,
        # Hendrycks et al., ICML 2022, arXiv:1911.11132
        "maximum logit": lambda logits: logits.double().amax(dim=1),
        # Hendrycks and Gimpel, ICLR 2017, arXiv:1610.02136
        "largest probability": lambda logits: classifier.calibration.probabilities(logits).amax(1),
    }
    known = classifier.calibration.known
    assert known is not None  # load() saw to it
    found = {}
    for name, score in scores.items():
        usual = float(score(unseen).quantile(1 - TARGET_TPR))
        threshold = known if name == METHOD else usual
        values = {kind: score(logits) for kind, logits in foreign.items()}
        found[name] = measure(score(inside), score(unseen), values, threshold)
        print(f"{name}: AUROC {found[name]['mean_auroc']:.4f}", found[name]["kinds"])
    return found


def held_out(name: str, image_size: int) -> dict[str, Any]:
    """Test images of the classes that are never outliers, uint8 (N, 3, S, S), and their names."""
    dataset = open_dataset(name, image_size=image_size)
    test = dataset.splits["test"]
    classes = sorted(HELD_OUT & {*dataset.label_names})
    numbers = torch.tensor([dataset.label_names.index(one) for one in classes])
    rows = torch.isin(test.labels, numbers).nonzero().flatten()  # (N,)
    return {"dataset": dataset.name, "classes": classes, "images": test.load(rows).images}


def answered(classifier: Classifier, pictures: Sequence[Pixels]) -> dict[str, float]:
    """What becomes of pictures as people send them, so with a closer look at large ones."""
    verdicts = [one.verdict for one in classifier([*pictures])]
    none, confident = (verdicts.count(one) / len(verdicts) for one in ("none", "confident"))
    return {"accepted": round(1 - none, 6), "confident": round(confident, 6)}


def measure(
    inside: Tensor, held_back: Tensor, foreign: dict[str, Tensor], threshold: float
) -> dict[str, Any]:
    """AUROC and wrongly accepted share of one score, for each kind and on average."""

    def share(values: Tensor) -> float:
        return round(float((values >= threshold).double().mean()), 6)

    kinds = {}
    for kind, values in foreign.items():
        truth = np.r_[np.ones(len(inside)), np.zeros(len(values))]
        auroc = float(roc_auc_score(truth, np.r_[inside, values]))
        kinds[kind] = {"auroc": round(auroc, 6), "accepted": share(values)}
    mean = _mean(kinds)
    return {
        "mean_auroc": mean["auroc"],
        "mean_accepted": mean["accepted"],
        "kept": {"validation": share(held_back), "test": share(inside)},
        "kinds": kinds,
    }


def _mean(kinds: dict[str, dict[str, float]]) -> dict[str, float]:
    names = next(iter(kinds.values()))
    return {name: round(float(np.mean([k[name] for k in kinds.values()])), 6) for name in names}


def draw(found: dict[str, dict[str, Any]]) -> Figure:
    """A dot for each kind and method; the method in use is drawn large."""
    best = found[METHOD]
    title = f"Foreign pictures are told apart: AUROC {best['mean_auroc']:.3f} on average"
    note = "AUROC against test images, by kind of foreign picture; 1: always told apart"
    figure = style.headed_figure(7.5, 4.4, title, note)
    axes = figure.subplots()
    for (name, row), mark in zip(found.items(), ("o", "^", "v"), strict=True):
        values = [one["auroc"] for one in row["kinds"].values()]
        colour, size, alpha = (style.BLUE, 9, 1) if name == METHOD else (style.RUST, 6, 0.6)
        how: Any = {"color": colour, "markersize": size, "alpha": alpha}
        axes.plot(values, [*row["kinds"]], mark, label=f"{name} ({row['mean_auroc']:.3f})", **how)
    axes.set(xlabel="AUROC", xlim=(None, 1.002))
    axes.invert_yaxis()
    style.legend_above(axes)
    return figure


if __name__ == "__main__":
    main()
