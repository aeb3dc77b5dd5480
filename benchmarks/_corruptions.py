"""Pictures of 32 x 32 pixels, damaged in the fifteen ways of CIFAR-10-C.

Kinds, severities and their settings are those that Hendrycks & Dietterich published with
"Benchmarking neural network robustness to common corruptions and perturbations", ICLR 2019,
arXiv:1903.12261 (ImageNet-C/create_c/make_cifar_c.py of github.com/hendrycks/robustness). The code
is ours and works on many pictures at once. What differs from the set that they published:

- Random numbers are others, so that pictures agree in kind and strength, not in every pixel.
- frost: generated ice texture, not the authors' photographs, which may not be shipped. Colour,
  contrast and fineness follow theirs.
- motion_blur and the blown flakes of snow: they called ImageMagick; here its algorithm (half a bell
  curve along a line of whole pixels) is written out, and agrees with its version 6.9 to the level.

Needs numpy, scipy, OpenCV and Pillow only, so that it runs where the rest of the project does not.
"""

import io
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor

import cv2
import numpy as np
from numpy.random import Generator
from PIL import Image
from scipy.ndimage import gaussian_filter

from benchmarks._ice import panes
from benchmarks._pixels import (
    SIDE,
    TRACE,
    Pictures,
    blurred,
    clouds,
    enlarged,
    grey,
    in_chunks,
    levels,
    moved,
    smeared,
    taken,
    unit,
)

SEVERITIES = (1, 2, 3, 4, 5)
KINDS = (
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
)


def corrupt(images: np.ndarray, kind: str, severity: int, seed: int = 0) -> np.ndarray:
    """Damages pictures in one of the ways of `KINDS`.

    The same pictures, kind, severity and seed give the same result.

    Args:
        images: uint8 (N, 32, 32, 3).
        kind: One of `KINDS`.
        severity: 1 (weak) to 5.
        seed: Of the random numbers; every kind and severity draws its own.

    Returns:
        uint8 (N, 32, 32, 3).

    Raises:
        ValueError: If an argument is none of those.
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is unknown: choose from {', '.join(KINDS)}.")
    if severity not in SEVERITIES:
        raise ValueError(f"severity={severity!r} must be a whole number from 1 to 5.")
    way = _WAYS[kind]
    number = (seed, KINDS.index(kind), severity)
    return in_chunks(images, lambda some, rng: way(some, severity - 1, rng), number)


def all_sets() -> list[tuple[str, int]]:
    """Every kind with every severity, in the authors' order."""
    return [(kind, severity) for kind in KINDS for severity in SEVERITIES]


def make_all(
    images: np.ndarray, workers: int = 1, seed: int = 0
) -> dict[tuple[str, int], np.ndarray]:
    """All 75 damaged copies of pictures, in memory: 230 kB a picture.

    Args:
        images: uint8 (N, 32, 32, 3).
        workers: Processes to share the work; with more than 1, the calling program needs the usual
            `if __name__ == "__main__"`, as they are spawned.
        seed: See `corrupt`.

    Returns:
        uint8 (N, 32, 32, 3) by kind and severity.
    """
    return dict(stream_all(images, workers, seed))


def stream_all(
    images: np.ndarray,
    workers: int = 1,
    seed: int = 0,
    sets: Iterable[tuple[str, int]] | None = None,
) -> Iterator[tuple[tuple[str, int], np.ndarray]]:
    """The same as `make_all` one after another, in order: nothing piles up.

    Args:
        images: uint8 (N, 32, 32, 3).
        workers: See `make_all`.
        seed: See `corrupt`.
        sets: Kinds and severities; None takes all.
    """
    wanted = list(all_sets() if sets is None else sets)
    if workers <= 1:
        for kind, severity in wanted:
            yield (kind, severity), corrupt(images, kind, severity, seed)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, spawn, _start, (images, seed)) as pool:
        # A few ahead of the reader, not all: what waits to be read stays in memory.
        waiting = [pool.submit(_work, *one) for one in wanted[: 2 * workers]]
        for i, one in enumerate(wanted):
            made = waiting[i].result()
            waiting[i] = None  # type: ignore[call-overload]
            if len(waiting) < len(wanted):
                waiting.append(pool.submit(_work, *wanted[len(waiting)]))
            yield one, made


_shared: dict[str, tuple[np.ndarray, int]] = {}  # what a worker process was started with


def _start(images: np.ndarray, seed: int) -> None:
    cv2.setNumThreads(1)  # the processes share the cores already
    _shared["work"] = images, seed


def _work(kind: str, severity: int) -> np.ndarray:
    images, seed = _shared["work"]
    return corrupt(images, kind, severity, seed)


# Noise


def _gaussian_noise(images: Pictures, level: int, rng: Generator) -> Pictures:
    sigma = (0.04, 0.06, 0.08, 0.09, 0.10)[level]
    noise = rng.standard_normal(images.shape, np.float32)
    return levels(unit(images) + np.float32(sigma) * noise)


def _shot_noise(images: Pictures, level: int, rng: Generator) -> Pictures:
    photons = (500, 250, 100, 75, 50)[level]
    return levels((rng.poisson(images * (photons / 255)) / photons).astype(np.float32))


def _impulse_noise(images: Pictures, level: int, rng: Generator) -> Pictures:
    """Some values, of each colour apart, become 0 or 255."""
    share = (0.01, 0.02, 0.03, 0.05, 0.07)[level]
    chance = rng.random(images.shape, np.float32)
    made = images.copy()
    made[chance < share] = 255
    made[chance < share / 2] = 0
    return made


# Blur


def _defocus_blur(images: Pictures, level: int, rng: Generator) -> Pictures:
    radius, softness = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))[level]
    y, x = np.mgrid[-3:4, -3:4]
    disc = (x**2 + y**2 <= radius**2).astype(np.float32)
    kernel = cv2.GaussianBlur(disc / disc.sum(), (3, 3), softness)
    return levels(np.stack([cv2.filter2D(one, -1, kernel) for one in unit(images)]))


def _glass_blur(images: Pictures, level: int, rng: Generator) -> Pictures:
    """Blur, neighbours that take each other's place, blur."""
    sigma, rounds = ((0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2))[level]
    made = levels(blurred(unit(images), sigma)).astype(np.uint8)
    # The authors go from the last pixel to the first and mean to swap each with one above or left
    # of it, but numpy's views make a copy of the swap: a pixel takes over what is there, and what
    # it takes has not changed yet. So all can move at once.
    y, x = np.mgrid[:SIDE, :SIDE]
    inner = (y >= 2) & (x >= 2)
    for _ in range(rounds):
        up, left = rng.integers(0, 2, (2, len(made), SIDE, SIDE)) * inner
        made = taken(made, y - up, x - left)
    return levels(blurred(unit(made), sigma))


def _motion_blur(images: Pictures, level: int, rng: Generator) -> Pictures:
    radius, sigma = ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))[level]
    angles = rng.uniform(-45, 45, len(images))
    return smeared(images.astype(np.float32), radius, sigma, angles) + TRACE


def _zoom_blur(images: Pictures, level: int, rng: Generator) -> Pictures:
    """The mean of ever larger copies; the picture itself counts twice, as the authors have it."""
    farthest = (1.06, 1.11, 1.16, 1.21, 1.26)[level]
    factors = np.arange(1, farthest, 0.01)
    x = unit(images)
    made = x.copy()
    for factor in factors:
        made += enlarged(x, factor)
    return levels(made / np.float32(len(factors) + 1))


# Weather


def _snow(images: Pictures, level: int, rng: Generator) -> Pictures:
    mean, std, size, least, radius, sigma, kept = (
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    )[level]
    flakes = rng.normal(mean, std, (len(images), SIDE, SIDE, 1)).astype(np.float32)
    flakes = enlarged(flakes, size)  # (n, 32, 32, 1)
    flakes[flakes < least] = 0
    flakes = np.floor(np.clip(flakes, 0, 1) * 255)
    flakes = smeared(flakes, radius, sigma, rng.uniform(-135, -45, len(images)))
    flakes = unit(np.floor(flakes + TRACE))
    x = unit(images)
    white = np.maximum(x, grey(x) * np.float32(1.5) + np.float32(0.5))  # a pale winter's day
    both = flakes + flakes[:, ::-1, ::-1]
    return levels(np.float32(kept) * x + np.float32(1 - kept) * white + both)


def _frost(images: Pictures, level: int, rng: Generator) -> Pictures:
    """Ice over the picture; the texture is ours, see above."""
    kept, added = ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45))[level]
    glass = panes()  # (5, 128, 128, 3)
    which = rng.integers(0, len(glass), len(images))
    corners = rng.integers(0, glass.shape[1] - SIDE, (len(images), 2))
    ice = np.stack(
        [
            glass[pane, top : top + SIDE, left : left + SIDE]
            for pane, (top, left) in zip(which, corners, strict=True)
        ]
    )  # (n, 32, 32, 3)
    return levels(np.float32(kept) * unit(images) + np.float32(added) * ice)


def _fog(images: Pictures, level: int, rng: Generator) -> Pictures:
    thickness, decay = ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75))[level]
    x = unit(images)
    brightest = x.max(axis=(1, 2, 3), keepdims=True)
    x = x + np.float32(thickness) * clouds(len(images), decay, rng)[..., None]
    return levels(x * (brightest / (brightest + np.float32(thickness))))


# Light, shape and storage


def _brightness(images: Pictures, level: int, rng: Generator) -> Pictures:
    """More value in the sense of HSV: hue and saturation stay, so all colours grow alike."""
    more = (0.05, 0.1, 0.15, 0.2, 0.3)[level]
    x = unit(images)
    value = x.max(axis=3, keepdims=True)  # (n, 32, 32, 1)
    brighter = np.minimum(value + np.float32(more), 1)
    return levels(np.where(value > 0, x * (brighter / np.maximum(value, 1e-6)), brighter))


def _contrast(images: Pictures, level: int, rng: Generator) -> Pictures:
    left = (0.75, 0.5, 0.4, 0.3, 0.15)[level]
    x = unit(images)
    mean = x.mean(axis=(1, 2), keepdims=True)  # (n, 1, 1, 3)
    return levels((x - mean) * np.float32(left) + mean)


def _elastic_transform(images: Pictures, level: int, rng: Generator) -> Pictures:
    """A random affine map, then every pixel moved a little, neighbours alike."""
    strength, smoothness, reach = (
        (0, 0, 2.56),
        (1.6, 6.4, 2.24),
        (2.56, 1.92, 1.92),
        (3.2, 1.28, 1.6),
        (3.2, 0.96, 0.96),
    )[level]
    corners = np.array([[26, 26], [26, 6], [6, 6]], np.float32)
    moves = corners + rng.uniform(-reach, reach, (len(images), 3, 2)).astype(np.float32)
    made = np.stack(
        [
            cv2.warpAffine(
                one,
                cv2.getAffineTransform(corners, to),
                (SIDE, SIDE),
                borderMode=cv2.BORDER_REFLECT_101,
            )
            for one, to in zip(unit(images), moves, strict=True)
        ]
    )
    if strength == 0:
        return levels(made)
    shifts = rng.uniform(-1, 1, (2, len(images), SIDE, SIDE)).astype(np.float32)
    shifts = strength * gaussian_filter(
        shifts, (0, 0, smoothness, smoothness), mode="reflect", truncate=3
    )
    return levels(moved(made, *shifts))


def _pixelate(images: Pictures, level: int, rng: Generator) -> Pictures:
    side = int(SIDE * (0.95, 0.9, 0.85, 0.75, 0.65)[level])
    box = Image.Resampling.BOX
    small = (Image.fromarray(one).resize((side, side), box) for one in images)
    return np.stack([np.asarray(one.resize((SIDE, SIDE), box)) for one in small])


def _jpeg_compression(images: Pictures, level: int, rng: Generator) -> Pictures:
    quality = (80, 65, 58, 50, 40)[level]
    made = np.empty_like(images)
    for i, one in enumerate(images):
        file = io.BytesIO()
        Image.fromarray(one).save(file, "JPEG", quality=quality)
        made[i] = np.asarray(Image.open(file))
    return made


Way = Callable[[Pictures, int, Generator], Pictures]
_WAYS: dict[str, Way] = {
    "gaussian_noise": _gaussian_noise,
    "shot_noise": _shot_noise,
    "impulse_noise": _impulse_noise,
    "defocus_blur": _defocus_blur,
    "glass_blur": _glass_blur,
    "motion_blur": _motion_blur,
    "zoom_blur": _zoom_blur,
    "snow": _snow,
    "frost": _frost,
    "fog": _fog,
    "brightness": _brightness,
    "contrast": _contrast,
    "elastic_transform": _elastic_transform,
    "pixelate": _pixelate,
    "jpeg_compression": _jpeg_compression,
}
"""Each maps uint8 (n, 32, 32, 3), the severity less 1 and random numbers to levels 0 to 255."""
