"""Ice on glass, drawn by code: the authors' photographs of frost may not be shipped."""

from functools import cache

import numpy as np
from numpy.random import Generator

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
def panes() -> np.ndarray:
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
