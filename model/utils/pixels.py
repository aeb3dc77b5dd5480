"""Pixels of any depth and any colours -> 8-bit RGB; and RGB -> a PNG file."""

import io

import numpy as np
from PIL import Image

from .errors import ImageError


def eight_bit(image: Image.Image, name: str) -> Image.Image:
    """Scales 16-bit and float pixels to 8 bit; Pillow's own conversion would clip them.

    Args:
        image: Loaded, of any mode.
        name: Of the picture, in errors.

    Returns:
        The image itself where it has 8 bits a channel or fewer; otherwise a copy, grey.

    Raises:
        ImageError: If the values lie outside 0..1 (floats) or 0..65535 (integers).
    """
    if image.mode != "F" and not image.mode.startswith("I"):
        return image
    values = np.asarray(image)  # (H, W)
    if image.mode != "F":
        if values.min() < 0 or values.max() > 65535:
            raise ImageError(
                f"{name} has 32-bit pixels from {values.min()} to {values.max()}; convert them to "
                "16 or 8 bits."
            )
        values = values.astype(np.uint16)
    grey = from_array(values, name)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return grey


def composite(image: Image.Image, name: str) -> Image.Image:
    """Lays transparent pictures on white and converts everything else to RGB.

    Args:
        image: Loaded, of any mode with at most 8 bits a channel.
        name: Of the picture, in errors.

    Returns:
        A new image of mode RGB.

    Raises:
        ImageError: If Pillow cannot convert its colours.
    """
    try:
        if not image.has_transparency_data:
            return image.convert("RGB")
        image = image.convert("RGBA")
    except ValueError as error:
        raise ImageError(
            f"{name} has colours of type {image.mode} ({error}); save it as RGB."
        ) from None
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A"))
    return white


def from_array(array: np.ndarray, name: str) -> Image.Image:
    """A picture made of an array, with as many channels.

    Args:
        array: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8, uint16, or floats in [0, 1].
        name: Of the picture, in errors.

    Raises:
        ImageError: If it has another shape, type or range.
    """
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 3, 4) or array.size == 0:
        raise ImageError(
            f"An array of shape {array.shape} is not a picture; expected (H, W), (H, W, 1), "
            "(H, W, 3) or (H, W, 4), with the channels last."
        )
    if array.dtype == np.uint16:
        array = ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)  # rounded
    elif np.issubdtype(array.dtype, np.floating):
        low, high = array.min(), array.max()
        if not (low >= 0 and high <= 1):  # also true for NaN
            raise ImageError(
                f"{name} has values from {low:g} to {high:g}; floats must lie between 0 and 1 and "
                "not be NaN (divide by 255 or by the largest value)."
            )
        array = np.rint(array.astype(np.float32) * 255).astype(np.uint8)
    elif array.dtype != np.uint8:
        raise ImageError(
            f"An array of type {array.dtype} is not a picture; expected uint8, uint16, or floats "
            "from 0 to 1."
        )
    return Image.fromarray(array[..., 0] if array.ndim == 3 and channels == 1 else array)


def png(pixels: np.ndarray) -> bytes:
    """A picture, uint8 (H, W, 3), as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
