"""Recipes: everything that decides what a training run computes, in one frozen dataclass."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from .utils.errors import ConfigError


@dataclass(frozen=True)
class DataOptions:
    """Which images a run reads; saved with it."""

    name: str
    image_column: str | None = None
    label_column: str | None = None
    image_size: int = 32
    cached: bool | None = None
    """Whether training images are kept in memory; None decides by their size."""
    fingerprint: str | None = None
    """Of the training split, where it is known already: another dataset is refused then."""
    max_bad_images: int = 0
    """Training images that may be left out because they cannot be decoded."""
    outliers: str | None = None
    """A dataset of pictures of none of the classes; None trains without."""


def option(default: Any, help: str) -> Any:
    """A field whose help text train.py shows."""
    return dataclasses.field(default=default, metadata={"help": help})


DISTORTIONS = ("warp", "cutmix", "recolour", "pixmix", "resample", "noise", "jpeg")


@dataclass(frozen=True)
class Recipe:
    """One training run. With the same data and machine, the same recipe gives the same weights.

    Learning rates are for the mean loss of a batch and hold at the schedule's peak.
    """

    name: str = option("default", "name of the recipe")
    network: str = option("cifarnet_small", "timm's name of the network.")
    epochs: int = option(9, "Passes over the training images.")
    batch_size: int = option(
        2000, "Images an optimizer step, over all processes and accumulated parts."
    )
    accumulation: int = option(4, "Parts a batch is cut into, to save memory.")
    val_size: int = option(
        -1, "Training images held back for validation; 0 trains on all, -1 holds back a tenth."
    )
    seed: int = option(0, "Decides the split, the initial weights, order and augmentation.")

    learning_rate: float = option(
        0.24, "Muon's rate for convolution filters, relative to their norm."
    )
    momentum: float = option(0.6, "Muon's momentum.")
    newton_schulz_steps: int = option(3, "Iterations that make Muon's update orthogonal.")
    bias_learning_rate: float = option(
        53.0, "SGD's rate for biases at 1,000 images a step, scaled to others."
    )
    head_learning_rate: float = option(
        0.01, "SGD's rate for the classifier at 1,000 images a step, scaled to others."
    )
    sgd_momentum: float = option(0.85, "Nesterov momentum of SGD.")
    weight_decay: float = option(
        0.002,
        "Share of biases and classifier taken off at the peak, before momentum; at 1,000 images "
        "a step, scaled to others.",
    )
    warmup: float = option(
        0.0, "Share of the steps in which the rate climbs to its peak, before it falls to zero."
    )
    final_rate: float = option(0.0, "Share of the peak rate that the schedule ends at.")
    stem_eps: float = option(5e-4, "Added to variances when the first layer is whitened.")
    stem_bias_epochs: int = option(3, "Epochs after which the first layer's bias is frozen too.")
    label_smoothing: float = option(
        0.2, "Probability spread evenly over all classes in the targets."
    )
    average_decay: float = option(
        0.0, "Decay a step of the moving average of the weights, which is what is saved; 0: none."
    )

    flip: bool = option(True, "Mirror each image in every other epoch.")
    translate: int = option(2, "Largest shift in pixels each way; 0: none.")
    cutout: int = option(0, "Side of the blanked square in pixels; 0: none.")
    warp: float = option(0.0, "Share of the images scaled, stretched and turned.")
    cutmix: float = option(0.0, "Share of the images with a rectangle of another one.")
    recolour: float = option(0.0, "Share of the images with other light and colours.")
    pixmix: float = option(0.0, "Share of the images mixed with drawn fractals.")
    resample: float = option(0.0, "Share of the images blurred, sharpened or pixelated.")
    noise: float = option(0.0, "Share of the images with noise.")
    jpeg: float = option(0.0, "Share of the images compressed as JPEG files are.")
    outlier_share: float = option(0.2, "Outliers beside the images of a batch, if there are any.")
    outlier_weight: float = option(0.5, "Weight of an outlier in the loss, against an image's.")
    resolution: tuple[tuple[float, float], ...] = option(
        ((1 / 3, 0.75), (1.0, 1.0)),
        "share of the steps:scale of the images, in a row: early training is small",
    )
    mixed_precision: str = option(
        "auto", "no, bf16, fp16; auto takes bf16 where the processor has units for it."
    )

    def __post_init__(self) -> None:
        """Checks ranges.

        Raises:
            ConfigError: naming the field, its value and what is allowed.
        """
        at_least = dict(
            epochs=1, batch_size=1, accumulation=1, val_size=-1, translate=0, cutout=0, seed=0
        )
        at_least |= dict(newton_schulz_steps=1, stem_bias_epochs=0)
        for name, least in at_least.items():
            if getattr(self, name) < least:
                raise ConfigError(
                    f"{name}={getattr(self, name)} is out of range: at least {least}."
                )
        if self.seed >= 2**32:
            raise ConfigError(f"seed={self.seed} is out of range: below {2**32}.")
        for name in (*DISTORTIONS, "outlier_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name}={getattr(self, name)} is out of range: 0 to 1.")
        for name in (
            *("momentum", "sgd_momentum", "label_smoothing", "average_decay"),
            *("warmup", "final_rate"),
        ):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)} is out of range: 0 <= value < 1.")
        for name in (
            "learning_rate",
            "bias_learning_rate",
            "head_learning_rate",
            "weight_decay",
            "outlier_weight",
        ):
            if not 0 <= getattr(self, name) < 1e6:
                raise ConfigError(f"{name}={getattr(self, name)} is out of range: 0 or more.")
        if self.mixed_precision not in ("auto", "no", "bf16", "fp16"):
            raise ConfigError(
                f"mixed_precision={self.mixed_precision!r} is unknown: use auto, no, bf16 or fp16."
            )
        ends = [end for end, _ in self.resolution]
        if not ends or ends != sorted(ends) or ends[-1] != 1 or ends[0] <= 0:
            raise ConfigError(
                f"resolution={self.resolution} must have rising shares that end at 1."
            )
        if not all(0.25 <= scale <= 2 for _, scale in self.resolution):
            raise ConfigError(f"resolution={self.resolution}: scales must lie in 0.25 to 2.")

    @property
    def distorts(self) -> bool:
        """Whether any image is changed beyond flips, shifts and blanked squares."""
        return any(getattr(self, name) for name in DISTORTIONS)

    def size_at(self, step: int, steps: int, image_size: int) -> int:
        """Side in pixels, even, of the images that step number `step` of `steps` trains on."""
        scale = next(scale for end, scale in self.resolution if step < end * steps or end == 1)
        return max(16, 2 * round(image_size * scale / 2))

    def to_dict(self) -> dict[str, Any]:
        """The recipe as JSON's types."""
        return dataclasses.asdict(self) | {"resolution": [list(part) for part in self.resolution]}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "Recipe":
        """Reads what `to_dict` wrote.

        Raises:
            ConfigError: If a field is unknown, missing or of the wrong type.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        if unknown := sorted(content.keys() - fields.keys()):
            raise ConfigError(f"The recipe has unknown fields {unknown}; a newer version wrote it?")
        if missing := sorted(fields.keys() - content.keys()):
            raise ConfigError(
                f"The recipe lacks the fields {missing}; it was not written by train.py."
            )
        content = dict(content)
        try:
            content["resolution"] = tuple(
                (float(end), float(scale)) for end, scale in content["resolution"]
            )
        except (TypeError, ValueError):
            raise ConfigError(
                f"resolution={content['resolution']!r} is not a list of [share, scale] pairs."
            ) from None
        allowed: dict[Any, Any] = {float: (int, float), int: int, bool: bool, str: str}
        for name, field in fields.items():
            kinds = allowed.get(field.type)
            value = content[name]
            if kinds and (
                not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool)
            ):
                raise ConfigError(f"The recipe's {name}={value!r} must be of type {field.type}.")
        return cls(**content)


# Smaller steps, warmed up and averaged: better where there are few; made the default weights.
GENTLE: dict[str, Any] = dict(
    batch_size=1000,
    accumulation=2,
    learning_rate=0.12,
    momentum=0.7,
    warmup=0.05,
    average_decay=0.9,
    resolution=((0.5, 0.75), (1.0, 1.0)),
)
SMALL_FIRST = ((0.5, 0.625), (0.8, 0.75), (1.0, 1.0))

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(),
        Recipe("flash", "cifarnet_nano", epochs=6, **GENTLE | {"resolution": SMALL_FIRST}),
        Recipe("long", "cifarnet_base", epochs=13, resolution=((0.4, 0.75), (1.0, 1.0))),
        Recipe("release", epochs=32, translate=4, cutout=8, **GENTLE),
        Recipe(  # for a few thousand images
            "tiny",
            "cifarnet_nano",
            epochs=10,
            **GENTLE | dict(batch_size=100, accumulation=1, learning_rate=0.05, momentum=0.9),
        ),
    )
}
