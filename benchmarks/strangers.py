"""Three new classes of 40 pictures each: how many strangers the network then calls "none".

    python -m benchmarks.strangers --dataset uoft-cs/cifar100 --others uoft-cs/cifar10

Needs what `benchmarks.out_of_scope` needs. Trains by `train.py` from the default weights, on the
classes of `benchmarks.teach`. Strangers are test pictures of the other classes that were never
outliers, those of --others, seven generated kinds and, with --photos, photographs of something
else, as `benchmarks.photographs` reads them. All are asked at the network's size, as the training
pictures are, and as they come, many of them larger. Writes strangers.json to benchmarks/results.
"""

import tempfile
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from benchmarks import photographs
from benchmarks._common import CIFAR10, CIFAR100, as_arrays, averaged, options, spread, write
from benchmarks.finetune import lay_out, strangers, sureness, train_by_command
from benchmarks.out_of_scope import answered
from benchmarks.outliers import outliers
from benchmarks.teach import CLASSES, EACH
from model.data import open_dataset
from model.inference.calibration import energy
from model.inference.classifier import Classifier
from model.inference.logits import both_views, predict
from model.utils.errors import exit_on_error
from model.utils.images import Pixels
from model.utils.streams import read_bytes

REFUSED = 0.10  # share of the known test pictures below the threshold that is told beside our own
OWN = "photographs that people took"
LEARNED = ("noise", "scrambled test images")  # kinds that are like what training shows


def main() -> None:
    """Measures, prints, writes."""
    more: Any = {
        "others": CIFAR10,
        "photos": ("", "folder or hub id of photographs"),
        "count": (100, "of each kind"),
        "seeds": (3, "runs"),
    }
    args = options(__doc__, model=True, dataset=CIFAR100, **more)
    with exit_on_error():
        dataset, others = open_dataset(args.dataset), open_dataset(args.others)
        photos = [*photographs.read(args.photos)] if args.photos else []
    test = dataset.splits["test"]
    near = strangers(dataset, CLASSES)
    mine = torch.tensor([dataset.label_names.index(name) for name in CLASSES])
    inside = test.load(torch.isin(test.labels, mine).nonzero().flatten()).images  # (n, 3, S, S)
    theirs = spread(others.splits["test"], args.count).images  # (n, 3, S, S)
    kinds: dict[str, list[Pixels]] = {
        "other new classes": [
            near[i] for i in torch.linspace(0, len(near) - 1, args.count).long().tolist()
        ],
        others.name: [*as_arrays(theirs)],
        **outliers(args.count, inside),  # type: ignore[dict-item]
    }
    if strange := [read_bytes(one["image"]) for one in photos if one["truth"] == photographs.OTHER]:
        kinds[OWN] = [*strange]
    runs = []
    for seed in tqdm(range(args.seeds), desc="trainings"):
        with tempfile.TemporaryDirectory() as folder:
            data, run = Path(folder) / "data", Path(folder) / "run"
            lay_out(dataset, CLASSES, EACH, seed, data)
            train_by_command(data, run, seed, "--init-from", str(args.model))
            known = sorted((data / "test").glob("*/*.png"))
            runs.append(asked(Classifier.from_pretrained(run), known, kinds))
    mean = averaged(runs)
    nine = {name: row for name, row in mean["kinds"].items() if name != OWN}
    mean["mean_of_nine"] = averaged([*nine.values()])
    mean["not_learned"] = averaged([row for name, row in nine.items() if name not in LEARNED])
    print(mean)
    write(args, "strangers", {"classes": CLASSES, "each": EACH, **mean, "runs": runs})


def asked(
    classifier: Classifier, known: list[Path], kinds: dict[str, list[Pixels]]
) -> dict[str, Any]:
    """Shares called none: by our threshold, by one that refuses `REFUSED`, and as sent."""

    def scores(some: list[Any]) -> torch.Tensor:
        images = torch.stack([classifier.preprocess(one) for one in some])  # (n, 3, S, S)
        return energy(predict(classifier.network, images, both_views)[1])  # (n,)

    ours = classifier.calibration.known
    assert ours is not None
    inside = scores(known)
    at = float(inside.quantile(REFUSED))
    found = {}
    for name, some in kinds.items():
        strange, sent = scores(some), answered(classifier, some)
        found[name] = {
            "none": float((strange < ours).double().mean()),
            "none_at_tenth": float((strange < at).double().mean()),
            "none_as_sent": 1 - sent["accepted"],
            "confident_as_sent": sent["confident"],
        }
    return {
        **sureness(classifier([*known]), known),
        "refused": float((inside < ours).double().mean()),
        "kinds": found,
    }


if __name__ == "__main__":
    main()
