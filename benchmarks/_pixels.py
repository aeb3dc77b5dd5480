"""Parts of the corruptions: smears, moves, clouds and ice for many small pictures at once."""

from functools import cache

import numpy as np
from numpy.random import Generator
from scipy.ndimage import zoom

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

Pictures = np.ndarray
"""uint8 (N, 32, 32, 3), or what becomes of them on the way: float32 of the same shape in [0, 1]."""


def unit(images: Pictures) -> Pictures:
    """Grey levels as float32 in [0, 1]."""
    return images / np.float32(255)


def levels(x: Pictures) -> Pictures:
    """Back to grey levels: float32 in [0, 255]."""
    return np.clip(x, 0, 1) * np.float32(255) + TRACE


def grey(x: Pictures) -> np.ndarray:
    """Luminance (n, 32, 32, 1) of colours in [0, 1], weighted as for television (BT.601)."""
    return x @ np.array([[0.299], [0.587], [0.114]], np.float32)


def taken(images: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """For every pixel what stands at a row and a column, (n, 32, 32) each, of the same picture."""
    flat = images.reshape(len(images), SIDE * SIDE, -1)  # (n, 1024, c)
    places = (rows * SIDE + columns).reshape(-1, SIDE * SIDE, 1)  # (n, 1024, 1)
    return np.take_along_axis(flat, places, axis=1).reshape(images.shape)


def moved(x: Pictures, down: np.ndarray, right: np.ndarray) -> Pictures:
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
            seen = taken(x, _mirrored(top + lower), _mirrored(left + later))
            made += share[..., None].astype(np.float32) * seen
    return made


def _mirrored(places: np.ndarray) -> np.ndarray:
    """Rows or columns outside, mirrored at the border so that the last one comes twice."""
    places = places % (2 * SIDE)
    return np.minimum(places, 2 * SIDE - 1 - places)


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
    turns = np.deg2rad(angles)[:, None]  # (n, 1)
    down = np.ceil(steps * np.sin(turns) - 0.5).astype(int)  # (n, steps)
    right = np.ceil(steps * np.cos(turns) - 0.5).astype(int)  # (n, steps)
    places = np.arange(SIDE)
    made = np.zeros_like(x)
    for step in steps[weights > 1e-4]:  # the others change no level
        rows = np.clip(places + down[:, step, None], 0, SIDE - 1)[:, :, None]  # (n, 32, 1)
        columns = np.clip(places + right[:, step, None], 0, SIDE - 1)[:, None]  # (n, 1, 32)
        made += np.float32(weights[step]) * taken(x, rows, columns)
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
