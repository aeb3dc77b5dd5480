"""How well a model tells pictures that show none of its classes.

    python -m benchmarks.out_of_scope --dataset uoft-cs/cifar10

Needs scikit-image, scikit-learn and gradio, whose pictures it uses. Compares scores on seven kinds
of foreign pictures against all test images: AUROC, and the share wrongly accepted at the threshold
that keeps 95 % of the validation images. Writes "scope" in the model's results.json and a plot.
"""

from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score
from torch import Tensor

from benchmarks._common import arguments, load, plot, record, validation
from benchmarks.outliers import outliers
from model import scope, style
from model.errors import exit_on_error
from model.logits import look_at

METHOD = "energy and feature distance"


def main() -> None:
    """Measures, prints, writes."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--count", type=int, default=500, help="of each kind (default: 500)")
    args = parser.parse_args()
    with exit_on_error():
        classifier, source = load(args)
        known = classifier.doubt.scope
        assert known is not None  # load() saw to it
        mean, std = torch.tensor(known.mean), torch.tensor(known.std)
        methods = {
            "energy": lambda seen: scope.energy(seen[0]),
            "maximum logit": lambda seen: scope.max_logit(seen[0]),
            "feature distance": lambda seen: -scope.distance(seen[1], mean, std),
            METHOD: lambda seen: known(*seen),
        }
        test = source.load("test").images
        foreign = outliers(args.count, classifier.image_size, test)
        looks = {
            name: look_at(classifier.network, torch.from_numpy(pixels).permute(0, 3, 1, 2))
            for name, pixels in foreign.items()
        }
        inside = look_at(classifier.network, test)
        held_back = look_at(classifier.network, validation(args, source).images)
    found = {
        name: _measure(score(inside), score(held_back), {k: score(v) for k, v in looks.items()})
        for name, score in methods.items()
    }
    content = {
        "method": METHOD,
        "threshold": known.threshold,
        "kept": {"validation": scope.KEPT, "test": found[METHOD]["kept"]},
        "images": {"inside": len(test), "each kind": args.count},
        **{key: found[METHOD][key] for key in ("kinds", "mean_auroc", "mean_accepted")},
        "methods": found,
    }
    for name, row in found.items():
        print(f"{name:<30} AUROC {row['mean_auroc']:.4f}  accepted {row['mean_accepted']:.1%}")
        for kind, one in row["kinds"].items():
            print(f"    {kind:<30} {one['auroc']:.4f}  {one['accepted']:.1%}")
    plot(args, "out_of_scope", lambda: draw(found))
    record(args, "scope", content)


def _measure(inside: Tensor, held_back: Tensor, foreign: dict[str, Tensor]) -> dict[str, Any]:
    """AUROC and wrongly accepted share of one score, for each kind and on average."""
    threshold = float(held_back.quantile(1 - scope.KEPT))
    kinds = {}
    for kind, values in foreign.items():
        truth = np.r_[np.ones(len(inside)), np.zeros(len(values))]
        auroc = float(roc_auc_score(truth, np.r_[inside, values]))
        accepted = float((values >= threshold).double().mean())
        kinds[kind] = {"auroc": round(auroc, 6), "accepted": round(accepted, 6)}
    return {
        "mean_auroc": round(float(np.mean([one["auroc"] for one in kinds.values()])), 6),
        "mean_accepted": round(float(np.mean([one["accepted"] for one in kinds.values()])), 6),
        "kept": round(float((inside >= threshold).double().mean()), 6),
        "kinds": kinds,
    }


def draw(found: dict[str, dict[str, Any]]) -> Figure:
    """A dot for each kind and method; the method in use is drawn large."""
    best = found[METHOD]
    title = f"Foreign pictures are told apart: AUROC {best['mean_auroc']:.3f} on average"
    note = "AUROC against test images, by kind of foreign picture; 1: always told apart"
    figure = style.headed_figure(7.5, 4.4, title, note)
    axes = figure.subplots()
    marks = dict(zip(found, ("s", "^", "v", "o"), strict=True))
    for name, row in found.items():
        kinds: dict[str, dict[str, float]] = row["kinds"]
        axes.plot(
            [one["auroc"] for one in kinds.values()],
            list(kinds),
            marks[name],
            color=style.BLUE if name == METHOD else style.RUST,
            markersize=9 if name == METHOD else 6,
            alpha=1 if name == METHOD else 0.6,
            label=f"{name} ({row['mean_auroc']:.3f})",
        )
    axes.set(xlabel="AUROC", xlim=(None, 1.01))
    axes.invert_yaxis()
    style.legend_above(axes)
    return figure


if __name__ == "__main__":
    main()
