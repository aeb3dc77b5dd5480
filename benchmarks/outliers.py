"""Pictures of none of the ten classes, to measure how well a classifier says so.

Seven kinds, each drawn or cut out by a seeded generator. Photographs and some textures come with
installed libraries (matplotlib, gradio, scikit-image, scikit-learn), so that nothing is downloaded.
"""

import importlib.resources
import itertools
import string
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from matplotlib import font_manager
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_digits
from torch import Tensor

from model.utils.images import read_image

SIDE = 128  # pixels at which pictures are drawn, before they are scaled to the network's size
PATCH = 8  # side of the pieces in which test images are scrambled

# Other things than the ten classes: no cats, dogs, horses, deer, frogs, birds or vehicles.
PHOTOS = {
    "matplotlib": ("mpl-data/sample_data/grace_hopper.jpg",),
    "gradio": ("media_assets/images/groot.jpeg", "media_assets/images/tower.jpg"),
    "sklearn": ("datasets/images/china.jpg", "datasets/images/flower.jpg"),
    "skimage": (
        *(f"data/{name}.png" for name in ("astronaut", "camera", "cell", "coffee", "coins")),
        *("data/hubble_deep_field.jpg", "data/ihc.png", "data/moon.png", "data/retina.jpg"),
    ),
}
TEXTURES = ("brick.png", "grass.png", "gravel.png")
PAGES = ("page.png", "text.png")

Kind = Callable[[Generator], Image.Image]


def outliers(count: int, inside: Tensor, seed: int = 0) -> dict[str, list[Image.Image]]:
    """Makes all kinds of pictures that show none of the classes.

    Args:
        count: Pictures of each kind.
        inside: Images of the dataset, uint8 (N, 3, S, S), to scramble.
        seed: Decides every picture.

    Returns:
        Pictures by kind: scrambled images are as large as those of the dataset, the others larger.
    """
    pixels = itertools.cycle(inside.permute(0, 2, 3, 1).numpy())  # (S, S, 3) each
    kinds: dict[str, Kind] = {
        "noise": noise,
        "flat colours and gradients": flat,
        "text and digits": text,
        "textures": texture,
        "drawings": drawing,
        "photographs of other things": photograph,
        "scrambled test images": lambda rng: Image.fromarray(scramble(next(pixels), rng)),
    }
    rngs = [np.random.default_rng((seed, number)) for number in range(len(kinds))]
    named = zip(kinds.items(), rngs, strict=True)
    return {name: [draw(rng) for _ in range(count)] for (name, draw), rng in named}


def noise(rng: Generator) -> Image.Image:
    """Random pixels: uniform or normal, grey or coloured, of the size of one or more pixels."""
    side = int(rng.choice([16, 32, 64, SIDE]))
    channels = int(rng.choice([1, 3]))
    values = rng.integers(0, 256, (side, side, channels)).astype(float)
    if rng.random() < 0.5:
        values = rng.normal(rng.uniform(60, 200), rng.uniform(15, 70), (side, side, channels))
    pixels = values.clip(0, 255).astype(np.uint8).repeat(3 // channels, axis=2)
    return Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.NEAREST)


def flat(rng: Generator) -> Image.Image:
    """One colour, or a linear or round gradient between two."""
    first, second = rng.integers(0, 256, (2, 3))
    y, x = np.mgrid[:SIDE, :SIDE] / (SIDE - 1)
    kind, angle = rng.integers(3), rng.uniform(0, 2 * np.pi)
    ramp = (
        np.zeros_like(x),
        (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle) + 0.5,
        np.hypot(x - rng.random(), y - rng.random()),
    )[kind].clip(0, 1)[..., None]  # (SIDE, SIDE, 1)
    return Image.fromarray((first + ramp * (second - first)).astype(np.uint8))


def text(rng: Generator) -> Image.Image:
    """Printed words on a plain ground, a handwritten digit, or a part of a scanned page."""
    kind = rng.integers(3)
    if kind == 0:
        digit = Image.fromarray(_digits()[rng.integers(len(_digits()))])  # 8 x 8
        return digit.resize((SIDE, SIDE), Image.Resampling.BICUBIC).convert("RGB")
    if kind == 1:
        page = _library_image("skimage", f"data/{rng.choice(PAGES)}")
        return _cut(page, rng, smallest=96)
    ground, ink = _two_colours(rng)
    image = Image.new("RGB", (SIDE, SIDE), ground)
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), int(rng.integers(10, 56)))
    letters = np.array(list(string.ascii_letters + string.digits))
    lines = ("".join(rng.choice(letters, rng.integers(2, 14))) for _ in range(12))
    ImageDraw.Draw(image).multiline_text((4, 2), "\n".join(lines), fill=ink, font=font)
    return image


def texture(rng: Generator) -> Image.Image:
    """Brick, grass or gravel close up, or stripes, checks and waves."""
    if rng.random() < 0.5:
        grey = _cut(_library_image("skimage", f"data/{rng.choice(TEXTURES)}"), rng, smallest=64)
        tint = rng.uniform(0.5, 1, 3)
        return Image.fromarray((np.asarray(grey) * tint).astype(np.uint8))
    y, x = np.mgrid[:SIDE, :SIDE]
    angle, period = rng.uniform(0, np.pi), rng.uniform(8, 64)
    along = (x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period
    across = (y * np.cos(angle) - x * np.sin(angle)) * 2 * np.pi / period
    wave = (
        np.sin(along),
        np.sign(np.sin(along)),
        np.sign(np.sin(along) * np.sin(across)),
        np.sin(along + 2 * np.sin(across)),
    )[rng.integers(4)]
    first, second = _two_colours(rng)
    mix = (wave[..., None] + 1) / 2  # (SIDE, SIDE, 1)
    return Image.fromarray((np.array(first) * mix + np.array(second) * (1 - mix)).astype(np.uint8))


def drawing(rng: Generator) -> Image.Image:
    """A few figures on a plain ground: outlines, filled shapes, a stick figure or a bar chart."""
    ground, ink = _two_colours(rng)
    image = Image.new("RGB", (SIDE, SIDE), ground)
    draw = ImageDraw.Draw(image)
    kind, width = rng.integers(4), int(rng.integers(2, 7))
    if kind == 0:
        for _ in range(rng.integers(1, 5)):
            corners = np.sort(rng.integers(4, SIDE - 4, (2, 2)), axis=0).ravel().tolist()
            shape = (draw.ellipse, draw.rectangle)[rng.integers(2)]
            fill = tuple(rng.integers(0, 256, 3).tolist()) if rng.random() < 0.5 else None
            shape(corners, fill=fill, outline=ink, width=width)
    elif kind == 1:
        points = [tuple(point) for point in rng.integers(4, SIDE - 4, (rng.integers(3, 9), 2))]
        draw.line(points, fill=ink, width=width, joint="curve")
    elif kind == 2:
        x, y, r = (float(rng.integers(*ends)) for ends in ((40, 88), (20, 34), (8, 16)))
        draw.ellipse([x - r, y - r, x + r, y + r], outline=ink, width=width)
        draw.line([x, y + r, x, y + r + 40], fill=ink, width=width)
        for side in (-1, 1):
            draw.line([x, y + r + 12, x + side * 24, y + r + 26], fill=ink, width=width)
            draw.line([x, y + r + 40, x + side * 18, y + r + 66], fill=ink, width=width)
    else:
        for left in range(10, SIDE - 20, 22):
            fill, top = tuple(rng.integers(0, 256, 3).tolist()), float(rng.integers(10, 110))
            draw.rectangle([left, top, left + 16, SIDE - 10], fill=fill)
    return image


def photograph(rng: Generator) -> Image.Image:
    """A square part, at least a third of the shorter side, of a photograph of something else."""
    package = rng.choice([name for name, paths in PHOTOS.items() for _ in paths])
    photo = _library_image(package, rng.choice(PHOTOS[package]))
    return _cut(photo, rng, smallest=min(photo.size) // 3)


def scramble(image: np.ndarray, rng: Generator) -> np.ndarray:
    """Cuts an image, uint8 (S, S, 3), into squares and shuffles those; what is left is cut off."""
    n = len(image) // PATCH
    image = image[: n * PATCH, : n * PATCH]  # (n P, n P, 3)
    rows, columns = np.divmod(rng.permutation(n * n).reshape(n, n), n)  # of the pieces that come
    pieces = image.reshape(n, PATCH, n, PATCH, 3).swapaxes(1, 2)[rows, columns]  # (n, n, P, P, 3)
    return pieces.swapaxes(1, 2).reshape(image.shape)


@cache
def _digits() -> np.ndarray:
    """scikit-learn's handwritten digits, uint8 (N, 8, 8), white on black."""
    return (load_digits().images * 255 / 16).astype(np.uint8)


@cache
def _library_image(package: str, path: str) -> Image.Image:
    return read_image(Path(str(importlib.resources.files(package) / path)))


def _cut(image: Image.Image, rng: Generator, smallest: int) -> Image.Image:
    """A random square with sides from `smallest` pixels to the whole."""
    side = int(rng.integers(min(smallest, *image.size), min(image.size) + 1))
    left, top = (int(rng.integers(length - side + 1)) for length in image.size)
    return image.crop((left, top, left + side, top + side))


def _two_colours(rng: Generator) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A ground and an ink that can be told apart."""
    while True:
        first, second = rng.integers(0, 256, (2, 3))
        if abs(first.mean() - second.mean()) > 60:
            return tuple(first.tolist()), tuple(second.tolist())
