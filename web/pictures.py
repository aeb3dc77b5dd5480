"""Pictures for the page: photo and heat-map as layers, feature maps, thumbnails, examples."""

import base64
import io

import numpy as np
from PIL import Image

from model.utils.images import to_square
from web.charts import data_uri

PHOTO_SIDE = 768  # pixels of the longer side that the page shows
THUMBNAIL = 48
TILES = 16  # feature maps of a stage that are shown
SHEET_TILE, GAP = 60, 4  # pixels of a feature map on its sheet, about, and between two of them
ACROSS = 8  # feature maps in a row
FOR, AGAINST = np.array([43, 97, 149]), np.array([214, 78, 38])  # blue and rust, as in the figures
DARK, LIGHT = np.array([18, 32, 46]), np.array([248, 238, 214])


def photo_uri(image: Image.Image) -> str:
    """A picture at the size of the page; a small one stays as it is."""
    if max(image.size) <= THUMBNAIL * 4:
        return data_uri(np.asarray(image))
    shown = image.copy()
    shown.thumbnail((PHOTO_SIDE, PHOTO_SIDE), Image.Resampling.BICUBIC, reducing_gap=2.0)
    buffer = io.BytesIO()
    shown.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def heat_uri(heat: np.ndarray) -> str:
    """A heat-map as a layer to lay over the photo.

    Args:
        heat: float (S, S) in [-1, 1]; above 0 speaks for the class.
    """
    strength = np.clip(np.abs(heat), 0, 1)[..., None]  # (S, S, 1)
    colour = np.where(heat[..., None] > 0, FOR, AGAINST)  # (S, S, 3)
    return data_uri(np.concatenate([colour, 210 * strength**0.8], axis=2).astype(np.uint8))


def thumbnail_uri(image: Image.Image) -> str:
    """The centre of a picture, small."""
    return data_uri(to_square(image, THUMBNAIL))


def sheet_uri(maps: np.ndarray) -> str:
    """The strongest feature maps of a stage beside one another.

    Args:
        maps: float (C, h, w).
    """
    tiles = strongest(maps)  # (n, h, w)
    low = tiles.min(axis=(1, 2), keepdims=True)
    span = np.maximum(tiles.max(axis=(1, 2), keepdims=True) - low, 1e-9)
    colours = DARK + (LIGHT - DARK) * ((tiles - low) / span)[..., None]  # (n, h, w, 3)
    scale = max(1, SHEET_TILE // max(tiles.shape[1:]))
    tiles = colours.astype(np.uint8).repeat(scale, axis=1).repeat(scale, axis=2)
    opaque = np.pad(tiles, [(0, 0)] * 3 + [(0, 1)], constant_values=255)  # (n, h, w, 4)
    across = min(len(tiles), ACROSS)
    missing = -len(tiles) % across
    spaced = np.pad(opaque, [(0, missing), (0, GAP), (0, GAP), (0, 0)])
    _, h, w, _ = spaced.shape
    rows = spaced.reshape(-1, across, h, w, 4).swapaxes(1, 2)  # (rows, h, across, w, 4)
    return data_uri(rows.reshape(-1, across * w, 4)[:-GAP, :-GAP])


def strongest(maps: np.ndarray) -> np.ndarray:
    """The feature maps that vary most over the picture, float (n, h, w)."""
    order = np.argsort(-maps.std(axis=(1, 2)), kind="stable")[:TILES]
    return maps[order]
