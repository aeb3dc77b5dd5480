"""How accurate any network stays on damaged pictures; needs torch and no more of the project."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks._changes import EXTRAS, change
from benchmarks._corruptions import KINDS, SEVERITIES, all_sets, stream_all

# Kinds that training shows the network too, in whatever strength. Others' published means (AugMix,
# for one) are of kinds that training never saw: compare only the others with them.
TRAINED_ON = ("gaussian_noise", "brightness", "contrast", "pixelate", "jpeg_compression")
NOTES = {
    "frost": "generated ice texture, not the authors' photographs",
    "motion_blur": "ImageMagick's algorithm, written anew",
    "snow": "its motion blur: ImageMagick's algorithm, written anew",
    "random numbers": "others than the authors': pictures agree in kind and strength",
}
BATCH_SIZE = 500

Logits = Callable[[Tensor], Tensor]
"""What is measured: uint8 (n, 3, 32, 32) -> logits or probabilities (n, C), on any device."""


def measure(
    logits: Logits,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int = 0,
    workers: int = 1,
    trained_on: Sequence[str] = TRAINED_ON,
    batch_size: int = BATCH_SIZE,
    report: Callable[[str, int], object] = lambda name, done: None,
) -> dict[str, Any]:
    """Accuracy on clean pictures, on each kind and severity of damage, and on harmless changes.

    Args:
        logits: See `Logits`.
        images: uint8 (N, 32, 32, 3).
        labels: True classes, (N,).
        seed: Of the damage.
        workers: Processes that make the damage, see `_corruptions.make_all`.
        trained_on: Kinds that are averaged apart from the others.
        batch_size: Images at a time.
        report: Called after each batch with what is measured and the number of images just done;
            `works(len(images))` are to do.

    Returns:
        "images", "seed"; "clean"; "kinds": by kind "severities" (five) and "mean"; "mean" over all
        kinds, "mean_trained_on", "mean_never_seen" (None where there is no such kind), and which
        were "trained_on"; "extras" by name; "notes". All shares are from 0 to 1.
    """

    def accuracy(name: str, some: np.ndarray) -> float:
        right = 0
        for start in range(0, len(some), batch_size):
            part = some[start : start + batch_size]
            x = torch.from_numpy(np.ascontiguousarray(part.transpose(0, 3, 1, 2)))  # (n, 3, 32, 32)
            said = logits(x).argmax(dim=1).cpu().numpy()  # (n,)
            right += int((said == labels[start : start + batch_size]).sum())
            report(name, len(part))
        return round(right / len(some), 6)

    clean = accuracy("clean", images)
    extras = {name: accuracy(name, change(images, name, seed)) for name in EXTRAS}
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for (kind, severity), made in stream_all(images, workers, seed):
        found[kind].append(accuracy(f"{kind} {severity}", made))
    means = {kind: round(float(np.mean(values)), 6) for kind, values in found.items()}
    return {
        "images": len(images),
        "seed": seed,
        "clean": clean,
        **_means(means, trained_on),
        "trained_on": list(trained_on),
        "kinds": {kind: {"severities": found[kind], "mean": means[kind]} for kind in KINDS},
        "extras": extras,
        "notes": NOTES,
    }


def works(images: int) -> int:
    """Pictures that `measure` shows to the network, for so many images."""
    return images * (1 + len(EXTRAS) + len(all_sets()))


def table(result: dict[str, Any]) -> str:
    """What `measure` found, for a terminal."""
    severities = "".join(f"{severity:>8}" for severity in SEVERITIES)
    lines = [f"{'':<22}{'mean':>8}{severities}", f"{'clean':<22}{result['clean']:>8.1%}"]
    for kind, row in result["kinds"].items():
        name = f"{kind} *" if kind in result["trained_on"] else kind
        values = "".join(f"{value:>8.1%}" for value in row["severities"])
        lines.append(f"{name:<22}{row['mean']:>8.1%}{values}")
    means = {
        "all kinds": result["mean"],
        "trained on (*)": result["mean_trained_on"],
        "never seen": result["mean_never_seen"],
        **result["extras"],
    }
    lines += [f"{name:<22}{value:>8.1%}" for name, value in means.items() if value is not None]
    return "\n".join(lines)


def _means(kinds: dict[str, float], trained_on: Sequence[str]) -> dict[str, float | None]:
    def mean(values: list[float]) -> float | None:
        return round(float(np.mean(values)), 6) if values else None

    return {
        "mean": mean(list(kinds.values())),
        "mean_trained_on": mean([kinds[kind] for kind in kinds if kind in trained_on]),
        "mean_never_seen": mean([kinds[kind] for kind in kinds if kind not in trained_on]),
    }
