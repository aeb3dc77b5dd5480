"""What a training run computes (`Recipe`), and from which images (`DataOptions`)."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from .utils.errors import ConfigError

# Training images up to which a dataset has a recipe of its own, from new and from trained weights;
# from those, images over all epochs, epochs at least, and Muon's rate: see `for_few_images`.
FEW, FEW_FROM_TRAINED = 2_000, 10_000
TRAINED_IMAGES, TRAINED_EPOCHS, TRAINED_RATE = 4_000, 8, 0.02
OURS = ("cifarnet_nano", "cifarnet_small", "cifarnet_base")  # networks, see `network`
SYNTHETIC = "synthetic"  # the dataset that is generated, see `utils.synthetic`


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
    """Images of each split that may be left out because they cannot be decoded."""
    outliers: str | None = None
    """A dataset of pictures of none of the classes, see `data.load_outliers`; None: without."""
    init_from: str | None = None
    """A saved model whose weights training begins with; None begins with new ones."""


def option(default: Any, help: str, low: float = -math.inf, high: float = math.inf) -> Any:
    """A field with the help text that train.py shows, and its lowest and highest value."""
    return dataclasses.field(default=default, metadata=dict(help=help, low=low, high=high))


BELOW_1 = math.nextafter(1, 0)  # the largest number below 1
RATE = dict(low=0, high=1e6)


@dataclass(frozen=True)
class Recipe:
    """What one training run does.

    On a CPU, the same recipe, data and machine, with as many threads and processes, give the same
    weights. Learning rates are for the mean loss of a batch and hold at the schedule's peak.
    """

    name: str = option("default", "name of the recipe")
    network: str = option("cifarnet_small", "timm's name of a convolutional network.")
    pretrained: bool = option(False, "Begin with the weights that timm fetches for the network.")
    freeze: bool = option(
        False,
        "Keep trained weights, and learn the classifier alone, by L-BFGS, which needs no rates.",
    )
    epochs: int = option(9, "Passes over the training images.", 1)
    batch_size: int = option(
        2000,
        "Images an optimizer step, over all processes; unless a recipe is named, at most a "
        "twentieth of the images.",
        1,
    )
    gradient_accumulation_steps: int = option(
        4,
        "Micro-batches a batch is cut into on a CPU, each normalised by itself; a GPU takes it "
        "whole.",
        1,
    )
    val_size: int = option(
        -1,
        "Training images held back for validation; 0 trains on all, -1 holds back a tenth, of "
        "fewer than 2,000 up to a fifth.",
        -1,
    )
    seed: int = option(
        0, "Decides the split, the initial weights, order and augmentation.", 0, 2**32 - 1
    )

    # Rates. Muon moves the convolution filters, SGD the biases and the classifier; SGD's rates and
    # decay are given for 1,000 images a step, and scaled to others.
    # Muon's update has the same size whatever the gradient's, so its rate needs no such scaling.
    # Networks of timm's that are not ours are moved by AdamW, and use `learning_rate` alone.
    learning_rate: float = option(0.24, "Muon's rate for filters, relative to their norm.", **RATE)
    momentum: float = option(0.6, "Muon's momentum.", 0, BELOW_1)
    newton_schulz_steps: int = option(3, "Iterations that make Muon's update orthogonal.", 1)
    bias_learning_rate: float = option(53.0, "SGD's rate for biases.", **RATE)
    head_learning_rate: float = option(0.01, "SGD's rate for the classifier.", **RATE)
    sgd_momentum: float = option(0.85, "Nesterov momentum of SGD.", 0, BELOW_1)
    weight_decay: float = option(
        0.002,
        "Share of the biases and the classifier that a step at the peak rate takes off; momentum "
        "adds to it.",
        **RATE,
    )
    warmup: float = option(
        0.0,
        "Share of the steps in which the rate climbs to its peak, before it falls.",
        0,
        BELOW_1,
    )
    final_rate: float = option(0.0, "Where the rate ends, as a share of its peak.", 0, BELOW_1)
    stem_bias_epochs: int = option(3, "Epochs after which the first layer's bias is frozen too.", 0)
    label_smoothing: float = option(
        0.2, "Probability spread evenly over all classes in the targets.", 0, BELOW_1
    )
    class_weights: str = option(
        "none", 'Of images in the loss; "balanced" lets small classes count as much as large ones.'
    )
    ema_decay: float = option(
        0.0,
        "Decay per step of the moving average of the weights, which is what is saved; 0: none.",
        0,
        BELOW_1,
    )

    # Augmentation, in model/augment.py, but for the five in model/distort.py.
    flip: bool = option(True, "Mirror each image in every other epoch.")
    translate: int = option(2, "Largest shift in pixels each way; 0: none.", 0)
    cutout: int = option(0, "Side of the blanked square in pixels; 0: none.", 0)
    cutmix: float = option(0.0, "Share of the images with a patch of another one.", 0, 1)
    jigsaw: float = option(
        0.0, "Share of the images whose pieces, shuffled, are outliers beside others.", 0, 1
    )
    warp: float = option(0.0, "Share of the images scaled, stretched and turned.", 0, 1)
    recolour: float = option(0.0, "Share of the images with other light and colours.", 0, 1)
    resample: float = option(0.0, "Share of the images blurred, sharpened or pixelated.", 0, 1)
    noise: float = option(0.0, "Share of the images with noise.", 0, 1)
    jpeg: float = option(0.0, "Share of the images compressed as JPEG files are.", 0, 1)
    resolution: tuple[tuple[float, float], ...] = option(
        ((1 / 3, 0.75), (1.0, 1.0)),
        "END:SCALE,...: up to this share of the steps, images are scaled by SCALE.",
    )
    mixed_precision: str = option(
        "auto", "no, bf16, fp16; auto takes bf16 where the processor has units for it."
    )

    def __post_init__(self) -> None:
        """Checks ranges.

        Raises:
            ConfigError: naming the field, its value and what is allowed.
        """
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            low, high = field.metadata["low"], field.metadata["high"]
            if field.type in (int, float) and not low <= value <= high:
                most = "or more" if high == math.inf else f"to {high:,g}"
                if high == BELOW_1:
                    most = "to below 1"
                raise ConfigError(f"{field.name}={value} is out of range: {low:g} {most}.")
        if self.mixed_precision not in ("auto", "no", "bf16", "fp16"):
            raise ConfigError(
                f"mixed_precision={self.mixed_precision!r} is unknown: use auto, no, bf16 or fp16."
            )
        if self.class_weights not in ("none", "balanced"):
            raise ConfigError(
                f"class_weights={self.class_weights!r} is unknown: use none or balanced."
            )
        # A schedule that ends early would leave the last steps without a size.
        ends = [end for end, _ in self.resolution]
        rising = all(a <= b for a, b in zip([0, *ends], ends, strict=False))  # NaN is not
        if not ends or not rising or ends[-1] != 1 or ends[0] <= 0:
            raise ConfigError(
                f"resolution={self.resolution} must have rising shares that end at 1."
            )
        if not all(0.25 <= scale <= 2 for _, scale in self.resolution):
            raise ConfigError(f"resolution={self.resolution}: scales must lie in 0.25 to 2.")

    def size_at(self, step: int, steps: int, image_size: int) -> int:
        """Side in pixels, even, of the images that step number `step` of `steps` trains on."""
        scale = next(scale for end, scale in self.resolution if step < end * steps or end == 1)
        # At least 16 pixels, the networks' min_input_size.
        return max(16, 2 * round(image_size * scale / 2))

    def to_dict(self) -> dict[str, Any]:
        """The recipe as JSON's types."""
        return dataclasses.asdict(self) | {"resolution": [list(part) for part in self.resolution]}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "Recipe":
        """Reads what `to_dict` wrote, now or before some fields existed.

        Raises:
            ConfigError: If a field is unknown, missing or of the wrong type.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        content = {RENAMED.get(name, name): value for name, value in content.items()}
        if unknown := sorted(content.keys() - fields.keys()):
            raise ConfigError(f"The recipe has unknown fields {unknown}; a newer version wrote it?")
        # What came later is off by default: a recipe that does not name it did without.
        off = (0, "none")
        if missing := [n for n, f in fields.items() if n not in content and f.default not in off]:
            raise ConfigError(
                f"The recipe lacks the fields {missing}; it was not written by train.py."
            )
        try:
            content["resolution"] = tuple(
                (float(end), float(scale)) for end, scale in content["resolution"]
            )
        except (TypeError, ValueError):
            raise ConfigError(
                f"resolution={content['resolution']!r} is not a list of [share, scale] pairs."
            ) from None
        allowed: dict[Any, Any] = {float: (int, float), int: int, bool: bool, str: str}
        # JSON has one kind of number, and bool is an int to Python.
        for name, value in content.items():
            kinds = allowed.get(fields[name].type, object)
            if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
                raise ConfigError(
                    f"The recipe's {name}={value!r} must be of type {fields[name].type}."
                )
        return cls(**content)


# Names in config.json files of 0.1, which still load.
RENAMED = {"accumulation": "gradient_accumulation_steps", "average_decay": "ema_decay"}


# Smaller batches and rates, warmed up and averaged: for much training, and for few images.
GENTLE: dict[str, Any] = dict(
    batch_size=1000,
    gradient_accumulation_steps=2,
    learning_rate=0.12,
    momentum=0.7,
    warmup=0.05,
    ema_decay=0.9,
    resolution=((0.5, 0.75), (1.0, 1.0)),
)
# What photographs do to pictures, chosen on held-back images (benchmarks/NOTES.md).
PHOTOGRAPHS: dict[str, Any] = GENTLE | dict(
    translate=4,
    cutout=8,
    warp=0.5,
    recolour=0.3,
    resample=0.3,
    noise=0.3,
    jpeg=0.25,
    label_smoothing=0.1,
    ema_decay=0.98,
    resolution=((0.4, 0.75), (1.0, 1.0)),
)
# Coarse shapes are learned first, and small images cost a fraction (progressive resizing).
SMALL_FIRST = ((0.5, 0.625), (0.8, 0.75), (1.0, 1.0))

# Accuracy over six views of the test images and time from start to saved model, on 2 cores with
# AMX units (benchmarks/results/speed.json).
RECIPES = {
    recipe.name: recipe
    for recipe in (
        # 94.1 %, four and a half minutes.
        Recipe(),
        # 89.8 %, 90 seconds: a small network on small pictures, for impatient people and tests.
        Recipe(
            "flash",
            "cifarnet_nano",
            epochs=10,
            **GENTLE | dict(learning_rate=0.16, resolution=SMALL_FIRST),
        ),
        # 95.0 %, three times as long as default.
        Recipe(
            "long",
            "cifarnet_base",
            epochs=12,
            resolution=((0.5, 0.75), (0.8, 0.875), (1.0, 1.0)),
        ),
        # For photographs, best with --outliers.
        Recipe("robust", epochs=16, **PHOTOGRAPHS),
        # The default weights, with CIFAR-100 as --outliers: minutes on a GPU. Patches of other
        # images pay in so many epochs, and cost accuracy in few.
        Recipe(
            "release",
            "cifarnet_base",
            epochs=150,
            val_size=2500,
            **PHOTOGRAPHS | dict(cutmix=0.3, ema_decay=0.998),
        ),
        # Few images: many small steps, see `for_few_images`.
        Recipe(
            "small",
            epochs=30,
            **PHOTOGRAPHS
            | dict(
                batch_size=50,
                gradient_accumulation_steps=1,
                learning_rate=0.05,
                head_learning_rate=0.003,
                label_smoothing=0.0,
                jigsaw=0.125,
                ema_decay=0.9,
                resolution=((1.0, 1.0),),
            ),
        ),
        Recipe(  # for a few thousand generated images
            "tiny",
            "cifarnet_nano",
            epochs=10,
            **GENTLE
            | dict(batch_size=100, gradient_accumulation_steps=1, learning_rate=0.05, momentum=0.9),
        ),
    )
}


def for_few_images(images: int, data: DataOptions, **asked: Any) -> tuple[Recipe, DataOptions]:
    """What is done with few images, and with which data, where nothing else is asked for.

    From trained weights few and small steps suffice, and more make the network forget what it knew.
    Generated shapes and noise are the outliers, so that it also learns from so few images what it
    does not know.

    Args:
        images: To train on, those that are held back among them.
        data: As asked for.
        asked: Fields of the recipe that somebody chose.
    """
    recipe = RECIPES["small"]
    if data.init_from or asked.get("pretrained"):
        epochs = max(TRAINED_EPOCHS, min(recipe.epochs, TRAINED_IMAGES // images))
        # Where all epochs are needed, there are too few steps to forget much in.
        rate = TRAINED_RATE if epochs < recipe.epochs else recipe.learning_rate
        recipe = dataclasses.replace(recipe, epochs=epochs, learning_rate=rate)
    recipe = dataclasses.replace(recipe, **asked)
    if not data.outliers and data.name != SYNTHETIC:
        data = dataclasses.replace(data, outliers=SYNTHETIC)
    return recipe, data
