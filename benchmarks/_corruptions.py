"""Pictures of 32 x 32 pixels, damaged in the fifteen ways of CIFAR-10-C, or changed harmlessly.

Kinds, severities and their settings are those that Hendrycks & Dietterich published with
"Benchmarking neural network robustness to common corruptions and perturbations", ICLR 2019,
arXiv:1903.12261 (ImageNet-C/create_c/make_cifar_c.py of github.com/hendrycks/robustness). The code
is ours and works on many pictures at once. What differs from the set that they published:

- Random numbers are others, so that pictures agree in kind and strength, not in every pixel.
- frost: generated ice texture, not the authors' photographs, which may not be shipped. Colour,
  contrast and fineness follow theirs.
- motion_blur and the blown flakes of snow: they called ImageMagick; here its algorithm (half a bell
  curve along a line of whole pixels) is written out, and agrees with its version 6.9 to the level.
"""

import io
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates, zoom

SIDE = 32  # the published settings are for pictures of this side
TRACE = np.float32(2e-4)  # added where float32 may make 99.9999 of 100, which would be cut to 99

PANE = 128  # side of a texture, from which pieces are cut
# Mean colour, standard deviation and share of fine grain in it of each pane, measured on those of
# the authors' photographs that their code draws from. Two of the five are the same white one, so
# it comes twice.
ICE = (
    ((0.30, 0.58, 0.65), 0.070, 0.56),
    ((0.79, 0.80, 0.84), 0.088, 0.62),
    ((0.79, 0.80, 0.84), 0.088, 0.62),
    ((0.54, 0.60, 0.65), 0.117, 0.72),
    ((0.44, 0.48, 0.53), 0.175, 0.66),
)

SEVERITIES = (1, 2, 3, 4, 5)
CHUNK = 500  # pictures worked on at once: few enough for a processor's cache

Pictures = np.ndarray
"""uint8 (N, 32, 32, 3), or what becomes of them on the way: float32 of the same shape in [0, 1]."""

Way = Callable[..., Pictures]
"""Maps uint8 (n, 32, 32, 3), random numbers, and the settings of a severity to levels 0 to 255."""
_WAYS: dict[str, tuple[Way, tuple[Any, ...]]] = {}


def _severities(*settings: Any) -> Callable[[Way], Way]:
    """Makes a function one of the kinds, with its settings for each of `SEVERITIES`."""

    def register(way: Way) -> Way:
        _WAYS[way.__name__.removeprefix("_")] = way, settings
        return way

    return register


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
    """
    way, settings = _WAYS[kind]
    setting = settings[SEVERITIES.index(severity)]
    values = setting if isinstance(setting, tuple) else (setting,)
    number = (seed, KINDS.index(kind), severity)
    return _in_chunks(images, lambda some, rng: way(some, rng, *values), number)


def change(images: np.ndarray, name: str, seed: int = 0) -> np.ndarray:
    """Changes pictures uint8 (N, 32, 32, 3) in one of the ways of `CHANGES`."""
    return _in_chunks(images, CHANGES[name], (seed, len(KINDS), [*CHANGES].index(name)))


def _in_chunks(images: np.ndarray, way: Way, number: tuple[int, ...]) -> np.ndarray:
    """Applies a way chunk by chunk; fractions of a level are cut off, as in the authors' set."""
    made = np.empty_like(images)
    for start in range(0, len(images), CHUNK):
        rng = np.random.default_rng((*number, start))
        made[start : start + CHUNK] = way(images[start : start + CHUNK], rng)
    return made


# Noise


@_severities(0.04, 0.06, 0.08, 0.09, 0.10)
def _gaussian_noise(images: Pictures, rng: Generator, sigma: float) -> Pictures:
    return levels(unit(images) + np.float32(sigma) * rng.standard_normal(images.shape, np.float32))


@_severities(500, 250, 100, 75, 50)
def _shot_noise(images: Pictures, rng: Generator, photons: float) -> Pictures:
    return levels((rng.poisson(images * (photons / 255)) / photons).astype(np.float32))


@_severities(0.01, 0.02, 0.03, 0.05, 0.07)
def _impulse_noise(images: Pictures, rng: Generator, share: float) -> Pictures:
    """Some values, of each colour apart, become 0 or 255."""
    chance = rng.random(images.shape, np.float32)
    return np.where(chance < share, np.where(chance < share / 2, 0, 255), images)


# Blur


@_severities((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))
def _defocus_blur(images: Pictures, rng: Generator, radius: float, softness: float) -> Pictures:
    y, x = np.mgrid[-3:4, -3:4]
    disc = (x**2 + y**2 <= radius**2).astype(np.float32)
    kernel = cv2.GaussianBlur(disc / disc.sum(), (3, 3), softness)
    return levels(np.stack([cv2.filter2D(one, -1, kernel) for one in unit(images)]))


@_severities((0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2))
def _glass_blur(images: Pictures, rng: Generator, sigma: float, rounds: int) -> Pictures:
    """Blur, neighbours that take each other's place, blur."""
    blur = partial(gaussian_filter, sigma=sigma, axes=(1, 2), mode="nearest")
    made = levels(blur(unit(images))).astype(np.uint8)
    # The authors go from the last pixel to the first and mean to swap each with one above or left
    # of it, but numpy's views make a copy of the swap: a pixel takes over what is there, and what
    # it takes has not changed yet. So all can move at once.
    y, x = np.mgrid[:SIDE, :SIDE]
    inner = (y >= 2) & (x >= 2)
    for _ in range(rounds):
        up, left = rng.integers(0, 2, (2, len(made), SIDE, SIDE)) * inner
        made = made[np.arange(len(made))[:, None, None], y - up, x - left]
    return levels(blur(unit(made)))


@_severities((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))
def _motion_blur(images: Pictures, rng: Generator, radius: int, sigma: float) -> Pictures:
    angles = rng.uniform(-45, 45, len(images))
    return smeared(images.astype(np.float32), radius, sigma, angles) + TRACE


@_severities(1.06, 1.11, 1.16, 1.21, 1.26)
def _zoom_blur(images: Pictures, rng: Generator, farthest: float) -> Pictures:
    """The mean of ever larger copies; the picture itself counts twice, as the authors have it."""
    x, factors = unit(images), np.arange(1, farthest, 0.01)
    return levels(sum((enlarged(x, one) for one in factors), x) / np.float32(len(factors) + 1))


# Weather


@_severities(
    (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
    (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
    (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
    (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
    (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
)
def _snow(images: Pictures, rng: Generator, *settings: Any) -> Pictures:
    mean, std, size, least, radius, sigma, kept = settings
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


@_severities((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45))
def _frost(images: Pictures, rng: Generator, kept: float, added: float) -> Pictures:
    """Ice over the picture; the texture is ours, see above."""
    which = rng.integers(0, len(ICE), len(images))
    corners = rng.integers(0, PANE - SIDE, (len(images), 2))
    ice = _cut((panes()[pane] for pane in which), corners)  # (n, 32, 32, 3)
    return levels(np.float32(kept) * unit(images) + np.float32(added) * ice)


@_severities((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75))
def _fog(images: Pictures, rng: Generator, thickness: float, decay: float) -> Pictures:
    x = unit(images)
    brightest = x.max(axis=(1, 2, 3), keepdims=True)
    x = x + np.float32(thickness) * clouds(len(images), decay, rng)[..., None]
    return levels(x * (brightest / (brightest + np.float32(thickness))))


# Light, shape and storage


@_severities(0.05, 0.1, 0.15, 0.2, 0.3)
def _brightness(images: Pictures, rng: Generator, more: float) -> Pictures:
    """More value in the sense of HSV: hue and saturation stay, so all colours grow alike."""
    x = unit(images)
    value = x.max(axis=3, keepdims=True)  # (n, 32, 32, 1)
    brighter = np.minimum(value + np.float32(more), 1)
    return levels(np.where(value > 0, x * (brighter / np.maximum(value, 1e-6)), brighter))


@_severities(0.75, 0.5, 0.4, 0.3, 0.15)
def _contrast(images: Pictures, rng: Generator, left: float) -> Pictures:
    x = unit(images)
    mean = x.mean(axis=(1, 2), keepdims=True)  # (n, 1, 1, 3)
    return levels((x - mean) * np.float32(left) + mean)


@_severities(
    (0, 0, 2.56), (1.6, 6.4, 2.24), (2.56, 1.92, 1.92), (3.2, 1.28, 1.6), (3.2, 0.96, 0.96)
)
def _elastic_transform(
    images: Pictures, rng: Generator, strength: float, smoothness: float, reach: float
) -> Pictures:
    """A random affine map, then every pixel moved a little, neighbours alike."""
    corners = np.array([[26, 26], [26, 6], [6, 6]], np.float32)
    moves = corners + rng.uniform(-reach, reach, (len(images), 3, 2)).astype(np.float32)
    warp = partial(cv2.warpAffine, dsize=(SIDE, SIDE), borderMode=cv2.BORDER_REFLECT_101)
    maps = (cv2.getAffineTransform(corners, to) for to in moves)
    made = np.stack([warp(one, by) for one, by in zip(unit(images), maps, strict=True)])
    shifts = rng.uniform(-1, 1, (2, len(images), SIDE, SIDE)).astype(np.float32)
    shifts = strength * gaussian_filter(shifts, smoothness, axes=(2, 3), truncate=3)
    places = np.mgrid[:SIDE, :SIDE] + shifts.swapaxes(0, 1)  # (n, 2, 32, 32)
    moved = [
        [map_coordinates(one[..., band], place, order=1, mode="reflect") for band in range(3)]
        for one, place in zip(made, places, strict=True)
    ]
    return levels(np.moveaxis(np.array(moved), 1, -1))


@_severities(0.95, 0.9, 0.85, 0.75, 0.65)
def _pixelate(images: Pictures, rng: Generator, kept: float) -> Pictures:
    side = int(SIDE * kept)
    box = Image.Resampling.BOX
    small = (Image.fromarray(one).resize((side, side), box) for one in images)
    return np.stack([np.asarray(one.resize((SIDE, SIDE), box)) for one in small])


@_severities(80, 65, 58, 50, 40)
def _jpeg_compression(images: Pictures, rng: Generator, quality: int) -> Pictures:
    def kept(one: np.ndarray) -> np.ndarray:
        Image.fromarray(one).save(file := io.BytesIO(), "JPEG", quality=quality)
        return np.asarray(Image.open(file))

    return np.stack([kept(one) for one in images])


KINDS = tuple(_WAYS)  # in the authors' order


# Changes after which people still see the same; what comes in from outside is the picture, mirrored


def _cut(pictures: Iterable[np.ndarray], corners: np.ndarray) -> np.ndarray:
    """Squares of 32 pixels out of larger pictures, whose top left corners lie at (n, 2)."""
    each = zip(pictures, corners, strict=True)
    return np.stack([one[top : top + SIDE, left : left + SIDE] for one, (top, left) in each])


def _shifted(images: Pictures, rng: Generator, by: int) -> Pictures:
    """Every picture moved up, down, left or right by chance."""
    padded = np.pad(images, ((0, 0), (by, by), (by, by), (0, 0)), "reflect")
    ways = np.array([[0, by], [2 * by, by], [by, 0], [by, 2 * by]])
    return _cut(padded, ways[rng.integers(0, 4, len(images))])


def _scaled(images: Pictures, rng: Generator, factor: float) -> Pictures:
    """Shrunk or enlarged around the middle."""
    side = round(SIDE * factor)
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    made = np.stack([cv2.resize(one, (side, side), interpolation=how) for one in images])
    wide = np.pad(made, ((0, 0), (SIDE, SIDE), (SIDE, SIDE), (0, 0)), "reflect")
    first = SIDE - (SIDE - side) // 2
    return wide[:, first : first + SIDE, first : first + SIDE]


CHANGES: dict[str, Way] = {
    "flip": lambda images, rng: images[:, :, ::-1],
    **{f"shift_{by}": partial(_shifted, by=by) for by in (1, 2, 4)},
    **{f"scale_{factor}": partial(_scaled, factor=factor) for factor in (0.7, 0.85, 1.2)},
    "grey": lambda images, rng: np.repeat(grey(unit(images)) * 255 + 0.5, 3, axis=3),
}


# Parts of them: smears, clouds and ice for many small pictures at once


def unit(images: Pictures) -> Pictures:
    """Grey levels as float32 in [0, 1]."""
    return images / np.float32(255)


def levels(x: Pictures) -> Pictures:
    """Back to grey levels: float32 in [0, 255]."""
    return np.clip(x, 0, 1) * np.float32(255) + TRACE


def grey(x: Pictures) -> np.ndarray:
    """Luminance (n, 32, 32, 1) of colours in [0, 1], weighted as for television (BT.601)."""
    return x @ np.array([[0.299], [0.587], [0.114]], np.float32)


def smeared(x: np.ndarray, radius: int, sigma: float, angles: np.ndarray) -> np.ndarray:
    """Motion blur, each picture in its own direction, as ImageMagick has it.

    A pixel becomes the mean of those that lie ahead of it on a line, rounded to whole pixels, with
    weights that fall as half a bell curve; the border goes on outside.

    Args:
        x: float32 (n, 32, 32, c).
        radius: In pixels; the line has 2 radius + 1.
        sigma: Of the bell curve, in pixels.
        angles: In degrees, (n,).
    """
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    weights /= weights.sum()
    turns = np.deg2rad(angles)
    ways = np.stack([np.sin(turns), np.cos(turns)], axis=1)  # (n, 2), down and right
    far = 2 * radius
    padded = np.pad(x, ((0, 0), (far, far), (far, far), (0, 0)), "edge")
    made = np.zeros_like(x)
    for step in steps[weights > 1e-4]:  # the others change no level
        moves = np.ceil(step * ways - 0.5).astype(int)
        made += np.float32(weights[step]) * _cut(padded, far + moves)
    return made


@cache
def _stretch(factor: float) -> np.ndarray:
    """What enlarges the middle of a line of 32 values to 32 values: float32 (32, 32)."""
    cut = int(np.ceil(SIDE / factor))
    first = (SIDE - cut) // 2
    large = zoom(np.eye(SIDE)[first : first + cut], (factor, 1), order=1)  # (>= 32, 32)
    trim = (len(large) - SIDE) // 2
    return large[trim : trim + SIDE].astype(np.float32)


def enlarged(x: np.ndarray, factor: float) -> np.ndarray:
    """Pictures float32 (n, 32, 32, c), zoomed into their middle."""
    by = _stretch(float(factor))
    tall = (by @ x.reshape(len(x), SIDE, -1)).reshape(-1, SIDE, x.shape[3])  # (n * 32, 32, c)
    return (by @ tall).reshape(x.shape)


def clouds(count: int, decay: float, rng: Generator) -> np.ndarray:
    """Plasma fractals by the diamond-square algorithm: float32 (count, 32, 32) from 0 to 1.

    Heights are random at a coarse grid; then, at half the distance again and again, each new point
    is the mean of its four neighbours and a random part `decay` squared times smaller than before.
    The map is a torus.
    """
    heights = np.zeros((count, SIDE, SIDE))
    size, part = SIDE, 100.0

    def between(sums: np.ndarray) -> np.ndarray:
        return sums / 4 + part * rng.uniform(-part, part, sums.shape)

    while size >= 2:
        half = size // 2
        corners = heights[:, ::size, ::size]
        pairs = corners + np.roll(corners, -1, axis=1)
        middles = between(pairs + np.roll(pairs, -1, axis=2))
        heights[:, half::size, half::size] = middles
        above = middles + np.roll(middles, 1, axis=1)
        heights[:, ::size, half::size] = between(above + corners + np.roll(corners, -1, axis=2))
        beside = middles + np.roll(middles, 1, axis=2)
        heights[:, half::size, ::size] = between(beside + corners + np.roll(corners, -1, axis=1))
        size, part = half, part / decay
    heights -= heights.min(axis=(1, 2), keepdims=True)
    return (heights / heights.max(axis=(1, 2), keepdims=True)).astype(np.float32)


@cache
def panes() -> np.ndarray:
    """Ice on glass, drawn: the authors' photographs of frost may not be shipped.

    Seen from as far as theirs are, it has no feathers, only cloudy rime with a grain of crystals
    that is coarse in some places and hardly there in others.

    Returns:
        float32 (5, PANE, PANE, 3) in [0, 1], always the same.
    """
    made = []
    for number, (colour, contrast, share) in enumerate(ICE):
        rng = np.random.default_rng(1000 + number)
        rime = _rime(rng)
        grain = _standard(rng.standard_normal((PANE, PANE)) * np.exp(0.4 * _rime(rng)))
        texture = np.sqrt(1 - share**2) * rime + share * grain
        grey = contrast * _standard(texture)[..., None]  # (PANE, PANE, 1)
        made.append(np.clip(np.array(colour) + grey, 0, 1))
    return np.stack(made).astype(np.float32)


def _rime(rng: Generator) -> np.ndarray:
    """Cloudy noise (PANE, PANE) whose power falls fast with the frequency."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(PANE), np.fft.rfftfreq(PANE), indexing="ij"))
    fall = np.maximum(frequency, 1 / PANE) ** -1.3
    noise = np.fft.rfft2(rng.standard_normal((PANE, PANE)))
    return _standard(np.fft.irfft2(noise * fall, (PANE, PANE)))


def _standard(x: np.ndarray) -> np.ndarray:
    return (x - x.mean()) / x.std()
