"""Pictures of 32 x 32 pixels, damaged in the fifteen ways of CIFAR-10-C, and a few more.

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
from functools import cache

import cv2
import numpy as np
from numpy.random import Generator
from PIL import Image
from scipy.ndimage import gaussian_filter, zoom

SIDE = 32  # the published settings are for pictures of this side
TRACE = np.float32(2e-4)  # added where float32 may make 99.9999 of 100, which would be cut to 99
CHUNK = 500  # pictures worked on at once: few enough for a processor's cache
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
EXTRAS = (
    "flip",
    "shift_1",
    "shift_2",
    "shift_4",
    "scale_0.7",
    "scale_0.85",
    "scale_1.2",
    "grey",
)

Pictures = np.ndarray
"""uint8 (N, 32, 32, 3), or what becomes of them on the way: float32 of the same shape in [0, 1]."""


def corrupt(images: np.ndarray, kind: str, severity: int, seed: int = 0) -> np.ndarray:
    """Damages pictures in one of the ways of `KINDS`.

    The same pictures, kind, severity and seed give the same result everywhere.

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
    return _in_chunks(images, lambda some, rng: way(some, severity - 1, rng), number)


def change(images: np.ndarray, kind: str, seed: int = 0) -> np.ndarray:
    """Changes pictures in one of the ways of `EXTRAS`, after which people still see the same.

    "flip" is the mirror image; "shift_K" moves by K pixels, every picture up, down, left or right
    by chance; "scale_F" makes everything F times as large, around the middle; "grey" takes the
    colour. What comes in from outside is the picture, mirrored at its border.

    Args:
        images: uint8 (N, 32, 32, 3).
        kind: One of `EXTRAS`.
        seed: Of the random numbers.

    Returns:
        uint8 (N, 32, 32, 3).

    Raises:
        ValueError: If an argument is none of those.
    """
    if kind not in EXTRAS:
        raise ValueError(f"kind={kind!r} is unknown: choose from {', '.join(EXTRAS)}.")
    name, _, amount = kind.partition("_")

    def way(some: np.ndarray, rng: Generator) -> np.ndarray:
        if name == "flip":
            return some[:, :, ::-1]
        if name == "shift":
            return _shifted(some, int(amount), rng)
        if name == "scale":
            return np.stack([_scaled(one, float(amount)) for one in some])
        return np.repeat(_grey(_unit(some)) * 255 + 0.5, 3, axis=3)

    return _in_chunks(images, way, (seed, len(KINDS), EXTRAS.index(kind)))


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


def _in_chunks(
    images: np.ndarray,
    way: Callable[[np.ndarray, Generator], np.ndarray],
    number: tuple[int, ...],
) -> np.ndarray:
    """Applies a way chunk by chunk; fractions of a grey level are cut off, as in the authors' set.

    Raises:
        ValueError: If these are no such pictures.
    """
    if images.dtype != np.uint8 or images.shape[1:] != (SIDE, SIDE, 3):
        raise ValueError(f"uint8 (N, 32, 32, 3) is needed, not {images.dtype} {images.shape}.")
    made = np.empty_like(images)
    for start in range(0, len(images), CHUNK):
        rng = np.random.default_rng((*number, start))
        made[start : start + CHUNK] = way(images[start : start + CHUNK], rng)
    return made


def _unit(images: Pictures) -> Pictures:
    return images / np.float32(255)


def _levels(x: Pictures) -> Pictures:
    """Back to grey levels: float32 in [0, 255]."""
    return np.clip(x, 0, 1) * np.float32(255) + TRACE


# Noise


def _gaussian_noise(images: Pictures, level: int, rng: Generator) -> Pictures:
    sigma = (0.04, 0.06, 0.08, 0.09, 0.10)[level]
    noise = rng.standard_normal(images.shape, np.float32)
    return _levels(_unit(images) + np.float32(sigma) * noise)


def _shot_noise(images: Pictures, level: int, rng: Generator) -> Pictures:
    photons = (500, 250, 100, 75, 50)[level]
    return _levels((rng.poisson(images * (photons / 255)) / photons).astype(np.float32))


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
    return _levels(np.stack([cv2.filter2D(one, -1, kernel) for one in _unit(images)]))


def _glass_blur(images: Pictures, level: int, rng: Generator) -> Pictures:
    """Blur, neighbours that take each other's place, blur."""
    sigma, rounds = ((0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2))[level]
    made = _levels(_blurred(_unit(images), sigma)).astype(np.uint8)
    # The authors go from the last pixel to the first and mean to swap each with one above or left
    # of it, but numpy's views make a copy of the swap: a pixel takes over what is there, and what
    # it takes has not changed yet. So all can move at once.
    y, x = np.mgrid[:SIDE, :SIDE]
    inner = (y >= 2) & (x >= 2)
    for _ in range(rounds):
        up, left = rng.integers(0, 2, (2, len(made), SIDE, SIDE)) * inner
        made = _taken(made, y - up, x - left)
    return _levels(_blurred(_unit(made), sigma))


def _motion_blur(images: Pictures, level: int, rng: Generator) -> Pictures:
    radius, sigma = ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))[level]
    angles = rng.uniform(-45, 45, len(images))
    return _smeared(images.astype(np.float32), radius, sigma, angles) + TRACE


def _zoom_blur(images: Pictures, level: int, rng: Generator) -> Pictures:
    """The mean of ever larger copies; the picture itself counts twice, as the authors have it."""
    farthest = (1.06, 1.11, 1.16, 1.21, 1.26)[level]
    factors = np.arange(1, farthest, 0.01)
    x = _unit(images)
    made = x.copy()
    for factor in factors:
        made += _enlarged(x, factor)
    return _levels(made / np.float32(len(factors) + 1))


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
    flakes = _enlarged(flakes, size)  # (n, 32, 32, 1)
    flakes[flakes < least] = 0
    flakes = np.floor(np.clip(flakes, 0, 1) * 255)
    flakes = _smeared(flakes, radius, sigma, rng.uniform(-135, -45, len(images)))
    flakes = _unit(np.floor(flakes + TRACE))
    x = _unit(images)
    white = np.maximum(x, _grey(x) * np.float32(1.5) + np.float32(0.5))  # a pale winter's day
    both = flakes + flakes[:, ::-1, ::-1]
    return _levels(np.float32(kept) * x + np.float32(1 - kept) * white + both)


def _frost(images: Pictures, level: int, rng: Generator) -> Pictures:
    """Ice over the picture; the texture is ours, see above."""
    kept, added = ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45))[level]
    panes = _panes()  # (P, H, W, 3)
    which = rng.integers(0, len(panes), len(images))
    corners = rng.integers(0, panes.shape[1] - SIDE, (len(images), 2))
    ice = np.stack(
        [
            panes[pane, top : top + SIDE, left : left + SIDE]
            for pane, (top, left) in zip(which, corners, strict=True)
        ]
    )  # (n, 32, 32, 3)
    return _levels(np.float32(kept) * _unit(images) + np.float32(added) * ice)


def _fog(images: Pictures, level: int, rng: Generator) -> Pictures:
    thickness, decay = ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75))[level]
    x = _unit(images)
    brightest = x.max(axis=(1, 2, 3), keepdims=True)
    x = x + np.float32(thickness) * _clouds(len(images), decay, rng)[..., None]
    return _levels(x * (brightest / (brightest + np.float32(thickness))))


# Light, shape and storage


def _brightness(images: Pictures, level: int, rng: Generator) -> Pictures:
    """More value in the sense of HSV: hue and saturation stay, so all colours grow alike."""
    more = (0.05, 0.1, 0.15, 0.2, 0.3)[level]
    x = _unit(images)
    value = x.max(axis=3, keepdims=True)  # (n, 32, 32, 1)
    brighter = np.minimum(value + np.float32(more), 1)
    return _levels(np.where(value > 0, x * (brighter / np.maximum(value, 1e-6)), brighter))


def _contrast(images: Pictures, level: int, rng: Generator) -> Pictures:
    left = (0.75, 0.5, 0.4, 0.3, 0.15)[level]
    x = _unit(images)
    mean = x.mean(axis=(1, 2), keepdims=True)  # (n, 1, 1, 3)
    return _levels((x - mean) * np.float32(left) + mean)


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
    moved = corners + rng.uniform(-reach, reach, (len(images), 3, 2)).astype(np.float32)
    made = np.stack(
        [
            cv2.warpAffine(
                one,
                cv2.getAffineTransform(corners, to),
                (SIDE, SIDE),
                borderMode=cv2.BORDER_REFLECT_101,
            )
            for one, to in zip(_unit(images), moved, strict=True)
        ]
    )
    if strength == 0:
        return _levels(made)
    shifts = rng.uniform(-1, 1, (2, len(images), SIDE, SIDE)).astype(np.float32)
    shifts = strength * gaussian_filter(
        shifts, (0, 0, smoothness, smoothness), mode="reflect", truncate=3
    )
    return _levels(_moved(made, *shifts))


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


# What several of them share


def _grey(x: Pictures) -> np.ndarray:
    """Luminance (n, 32, 32, 1) of colours in [0, 1], weighted as for television (BT.601)."""
    return x @ np.array([[0.299], [0.587], [0.114]], np.float32)


def _blurred(x: Pictures, sigma: float) -> Pictures:
    return gaussian_filter(x, (0, sigma, sigma, 0), mode="nearest", truncate=4)


def _taken(images: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """For every pixel what stands at a row and a column, (n, 32, 32) each, of the same picture."""
    flat = images.reshape(len(images), SIDE * SIDE, -1)  # (n, 1024, c)
    places = (rows * SIDE + columns).reshape(-1, SIDE * SIDE, 1)  # (n, 1024, 1)
    return np.take_along_axis(flat, places, axis=1).reshape(images.shape)


def _moved(x: Pictures, down: np.ndarray, right: np.ndarray) -> Pictures:
    """Every pixel taken from elsewhere, between pixels by straight lines; borders mirror.

    Args:
        x: float32 (n, 32, 32, 3).
        down: Rows below the pixel, (n, 32, 32).
        right: Columns to its right, (n, 32, 32).
    """
    y, x0 = np.mgrid[:SIDE, :SIDE]
    rows, columns = y + down, x0 + right  # (n, 32, 32)
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    made = np.zeros_like(x)
    for lower in (0, 1):
        for later in (0, 1):
            share = (1 - lower - (1 - 2 * lower) * (rows - top)) * (
                1 - later - (1 - 2 * later) * (columns - left)
            )  # (n, 32, 32)
            seen = _taken(x, _mirrored(top + lower), _mirrored(left + later))
            made += share[..., None].astype(np.float32) * seen
    return made


def _mirrored(places: np.ndarray) -> np.ndarray:
    """Rows or columns outside, mirrored at the border so that the last one comes twice."""
    places = places % (2 * SIDE)
    return np.minimum(places, 2 * SIDE - 1 - places)


def _smeared(x: np.ndarray, radius: int, sigma: float, angles: np.ndarray) -> np.ndarray:
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
    turns = np.deg2rad(angles)[:, None]  # (n, 1)
    down = np.ceil(steps * np.sin(turns) - 0.5).astype(int)  # (n, steps)
    right = np.ceil(steps * np.cos(turns) - 0.5).astype(int)  # (n, steps)
    places = np.arange(SIDE)
    made = np.zeros_like(x)
    for step in steps[weights > 1e-4]:  # the others change no level
        rows = np.clip(places + down[:, step, None], 0, SIDE - 1)[:, :, None]  # (n, 32, 1)
        columns = np.clip(places + right[:, step, None], 0, SIDE - 1)[:, None]  # (n, 1, 32)
        made += np.float32(weights[step]) * _taken(x, rows, columns)
    return made


@cache
def _stretch(factor: float) -> np.ndarray:
    """What enlarges the middle of a line of 32 values to 32 values: float32 (32, 32)."""
    cut = int(np.ceil(SIDE / factor))
    first = (SIDE - cut) // 2
    large = zoom(np.eye(SIDE)[first : first + cut], (factor, 1), order=1)  # (>= 32, 32)
    trim = (len(large) - SIDE) // 2
    return large[trim : trim + SIDE].astype(np.float32)


def _enlarged(x: np.ndarray, factor: float) -> np.ndarray:
    """Pictures float32 (n, 32, 32, c), zoomed into their middle."""
    by = _stretch(float(factor))
    tall = (by @ x.reshape(len(x), SIDE, -1)).reshape(-1, SIDE, x.shape[3])  # (n * 32, 32, c)
    return (by @ tall).reshape(x.shape)


def _clouds(count: int, decay: float, rng: Generator) -> np.ndarray:
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


# Frost

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


@cache
def _panes() -> np.ndarray:
    """Ice on glass: float32 (5, PANE, PANE, 3) in [0, 1], always the same.

    Seen from as far as the authors' are, it has no feathers, only cloudy rime with a grain of
    crystals that is coarse in some places and hardly there in others.
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


# The changes of `change`


def _shifted(images: np.ndarray, by: int, rng: Generator) -> np.ndarray:
    padded = np.pad(images, ((0, 0), (by, by), (by, by), (0, 0)), "reflect")
    ways = np.array([[0, by], [2 * by, by], [by, 0], [by, 2 * by]])[
        rng.integers(0, 4, len(images))
    ]  # (n, 2)
    return np.stack(
        [
            one[top : top + SIDE, left : left + SIDE]
            for one, (top, left) in zip(padded, ways, strict=True)
        ]
    )


def _scaled(image: np.ndarray, factor: float) -> np.ndarray:
    """A picture (32, 32, 3) shrunk or enlarged around its middle."""
    side = round(SIDE * factor)
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(image, (side, side), interpolation=how)
    if side >= SIDE:
        first = (side - SIDE) // 2
        return scaled[first : first + SIDE, first : first + SIDE]
    before = (SIDE - side) // 2
    after = SIDE - side - before
    return np.pad(scaled, ((before, after), (before, after), (0, 0)), "reflect")
