"""Pictures in any common form -> upright 8-bit RGB -> a small square of pixels."""

import io
import os
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
import pi_heif
from PIL import Image, ImageOps, features
from PIL.JpegImagePlugin import JpegImageFile

from .errors import ImageError
from .pixels import composite, eight_bit, from_array

Pixels: TypeAlias = Image.Image | str | os.PathLike[str] | bytes | np.ndarray

pi_heif.register_heif_opener()  # HEIF, also known as HEIC, is what iPhones save
# Pillow chooses a decoder by content; without a list it would start Ghostscript for EPS, say.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "HEIF") + (
    ("AVIF",) if features.check("avif") else ()
)
MAX_SIDE = 65_535  # pixels, what JPEG allows; Pillow needs memory for each row besides its pixels
MAX_PIXELS = 89_000_000  # a 356 MB picture; just below where Pillow starts to warn of bombs
BAND = 2**20  # pixels of a large picture that are converted at a time, to need little memory

ORIENTATION = 0x0112  # EXIF tag: how to turn the stored picture upright; from 5 on, onto its side
_warnings_lock = threading.Lock()  # the list of warning filters belongs to all threads


def read_image(
    source: Pixels, *, at_least: int | None = None, max_pixels: int = MAX_PIXELS
) -> Image.Image:
    """Turns a picture in any common form into upright RGB.

    Transparent parts become white, an animation its first frame, 16-bit values 8-bit ones.

    Args:
        source: Path or content of an image file in one of `FORMATS`; a Pillow image; or an array
            (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8, uint16, or floats in [0, 1].
        at_least: Lets large pictures be reduced, JPEG files while they are decoded, which is
            several times faster, to a size whose sides have at least this many pixels.
        max_pixels: That may have to be held in memory. JPEG files that are reduced on the way, a
            few rows at a time, may have more before that; no picture may have over `MAX_PIXELS`.

    Returns:
        The picture; its `info["full_size"]` is width and height as they were before a reduction.

    Raises:
        ImageError: If there is no such file, it is no picture, it is damaged, or has too many
            pixels or a side over `MAX_SIDE`; or if an array has another shape, type or range.
    """
    if isinstance(source, Image.Image):
        return _decode(source, "The image", None, max_pixels)
    if isinstance(source, np.ndarray):
        return composite(from_array(source, "The array"), "The array")
    if isinstance(source, bytes):
        return _read_file(io.BytesIO(source), "The image", at_least, max_pixels)
    if not isinstance(source, str | os.PathLike):
        raise ImageError(
            f"A {type(source).__name__} is not a picture; pass a path, bytes, a Pillow image or a "
            "NumPy array (H, W, 3)."
        )
    path = Path(source)
    try:
        if not path.is_file():  # but a folder, or what may never end: a pipe, a device
            problem = "is not a file" if path.exists() else "does not exist"
            raise ImageError(f"{path} {problem}; name an image file on this machine.")
        with path.open("rb") as file:
            return _read_file(file, str(path), at_least, max_pixels)
    except OSError as error:
        raise ImageError(
            f"{path} cannot be opened ({error.strerror}); check its permissions."
        ) from None


def to_square(image: Image.Image, size: int) -> np.ndarray:
    """Cuts out the largest centred square and scales it, with antialiasing, to size x size.

    An RGB image that has this size already comes back unchanged.

    Args:
        image: Of any size; what is not RGB is converted as by `read_image`.
        size: Side of the square in pixels.

    Returns:
        uint8 (size, size, 3).
    """
    if image.mode != "RGB":
        image = read_image(image)
    if image.size != (size, size):
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.resize(
            (size, size),
            Image.Resampling.BICUBIC,
            box=(left, top, left + side, top + side),
            reducing_gap=3.0,  # fast averaging first where the picture is far larger
        )
    return np.array(image)  # (size, size, 3)


def read_square(source: Pixels, size: int) -> np.ndarray:
    """`read_image` and `to_square` in one step, the fastest way from a photo to a network.

    Args:
        source: See `read_image`.
        size: Side of the square in pixels.

    Returns:
        uint8 (size, size, 3).

    Raises:
        ImageError: See `read_image`.
    """
    if isinstance(source, bytes) and _is_plain_png(source, size):
        pixels = _decode_png(source)
        if pixels is not None:
            return pixels
    return to_square(read_image(source, at_least=4 * size), size)


def _is_plain_png(content: bytes, size: int) -> bool:
    """Whether the bytes claim to be a whole 8-bit RGB PNG of this size, nothing to apply."""
    side = size.to_bytes(4, "big")
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + side + side + b"\x08\x02"
    whole = content.startswith(header) and content.endswith(b"IEND\xaeB`\x82")
    # Transparent, turned, animated; or with notes that would be unpacked.
    special = (b"tRNS", b"eXIf", b"acTL", b"iCCP", b"iTXt", b"zTXt")
    return whole and not any(kind in content for kind in special)


def _decode_png(content: bytes) -> np.ndarray | None:
    """Decodes a plain PNG outside Python's lock: uint8 (H, W, 3), None if it is damaged.

    Datasets are full of such images, and Pillow's work on small ones holds the lock, so that
    threads would slow one another down. `torchvision.io.decode_image` (0.29) gives the same pixels,
    but ends the whole process where a file is damaged.
    """
    import cv2  # only datasets need it, and a single prediction should start fast

    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)  # (H, W, 3)


def _read_file(file: IO[bytes], name: str, at_least: int | None, max_pixels: int) -> Image.Image:
    try:
        return _decode_file(file, name, at_least, max_pixels)
    except ImageError:
        file.seek(0)
        if not (bare := _without_notes(file)):
            raise
    return _decode_file(io.BytesIO(bare), name, at_least, max_pixels)


def _without_notes(file: IO[bytes]) -> bytes:
    """A PNG file less its notes, for which Pillow may refuse it; b"" if there is nothing to leave.

    As libpng does, it passes over texts and colour profiles that are large (and not unpacked
    here) or broken. Of what need not be there, transparency and orientation count.
    """
    kept, left_out = [file.read(8)], False
    while kept[0] == b"\x89PNG\r\n\x1a\n" and len(head := file.read(8)) == 8:
        kind, size = head[4:], int.from_bytes(head[:4]) + 4  # with the checksum
        needed = kind[:1].isupper()
        body = file.read(size) if needed or kind in (b"tRNS", b"eXIf") else b""
        if needed or (body and zlib.crc32(kind + body[:-4]) == int.from_bytes(body[-4:])):
            kept += [head, body]
        else:
            left_out = True
            file.seek(size - len(body), os.SEEK_CUR)
    return b"".join(kept) if left_out else b""


def _decode_file(file: IO[bytes], name: str, at_least: int | None, max_pixels: int) -> Image.Image:
    try:
        with _quiet():
            image = Image.open(file, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"{name} is too large: {error} Scale it to at most {MAX_PIXELS:,} pixels."
        ) from None
    except Exception:  # damaged headers raise errors of every kind
        raise ImageError(
            f"{name} is not a picture that can be read, or is damaged; save it as PNG or JPEG "
            f"(formats that can be read: {', '.join(FORMATS)})."
        ) from None
    with image:
        return _decode(image, name, at_least, max_pixels, ours=True)


def _decode(
    image: Image.Image, name: str, at_least: int | None, max_pixels: int, ours: bool = False
) -> Image.Image:
    """Upright RGB; `ours` says that nobody needs the image afterwards."""
    full = image.size
    _check_size(full, name, MAX_PIXELS)
    in_rows = _in_rows(image)
    if at_least:
        image.draft(None, (at_least, at_least))  # does nothing but for JPEG files
    _check_size(image.size if in_rows else full, name, max_pixels)
    try:
        image.load()
    except Exception as error:  # damaged files raise errors of every kind
        raise ImageError(f"{name} is damaged ({error}); save or download it again.") from None
    orientation = _orientation(image)
    rgb = _reduced(image, name, max(1, min(image.size) // at_least) if at_least else 1)
    if ours:
        image.close()  # before turning takes as much memory again
    # The rest is forgotten: whoever reads the result again must not turn it again.
    rgb.info = {"full_size": full[::-1] if orientation in range(5, 9) else full}
    rgb.getexif()[ORIENTATION] = orientation
    ImageOps.exif_transpose(rgb, in_place=True)
    return rgb


def _check_size(size: tuple[int, int], name: str, most: int) -> None:
    width, height = size
    if max(size) > MAX_SIDE:
        raise ImageError(
            f"{name} is too long: {width} x {height} pixels. Scale it to at most {MAX_SIDE:,} "
            "pixels a side."
        )
    if width * height > most:
        raise ImageError(
            f"{name} is too large: {width} x {height} pixels. Scale it to at most {most:,} pixels."
        )
    if 0 in size:
        raise ImageError(f"{name} is empty: {width} x {height} pixels.")


def _in_rows(image: Image.Image) -> bool:
    """Whether a file is decoded a few rows at a time: a JPEG file with all colours in one scan.

    Of any other JPEG file libjpeg keeps all coefficients, however small it is asked for.
    """
    if not isinstance(image, JpegImageFile) or image.info.get("progressive"):
        return False
    file: Any = image.fp
    if file is None:
        return False  # decoded before
    place = file.tell()
    try:
        file.seek(2)
        while (head := file.read(4)) and head[0] == 0xFF and head[1] != 0xFF:
            if head[1] == 0xDA:  # the first scan; its head begins with the number of colours
                return file.read(1) == bytes([image.layers])
            file.seek(int.from_bytes(head[2:], "big") - 2, os.SEEK_CUR)
        return False
    finally:
        file.seek(place)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation of a loaded image; broken EXIF data does not make a picture unreadable."""
    with _quiet(), suppress(Exception):
        return image.getexif().get(ORIENTATION, 1)
    return 1


def _reduced(image: Image.Image, name: str, by: int) -> Image.Image:
    """Converts a loaded image to RGB, `by` times smaller, in bands: no large copy is needed."""
    width, height = image.size
    rows = max(1, BAND // (width * by)) * by
    if by == 1 and height <= rows:
        return composite(eight_bit(image, name), name)
    rgb = Image.new("RGB", (-(-width // by), -(-height // by)))
    for top in range(0, height, rows):
        band = image.crop((0, top, width, min(top + rows, height)))
        rgb.paste(composite(eight_bit(band, name), name).reduce(by), (0, top // by))
    return rgb


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps Pillow's warnings (size, broken EXIF data) to itself: we refuse or accept ourselves."""
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
