"""Tests of model.utils.images: what is no picture, damaged, too large or ambiguous is refused."""

import contextlib
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_images import chunk, encoded

from model.utils import images
from model.utils.errors import ImageError
from model.utils.images import read_image


def asserts_refused(source: images.Pixels, *parts: str) -> None:
    with pytest.raises(ImageError) as caught:
        read_image(source)
    for part in parts:
        assert part in str(caught.value)


def png_chunks(*chunks: tuple[bytes, bytes]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in (*chunks, (b"IEND", b"")))


def test_sixteen_bit_grey_with_a_transparent_value() -> None:
    data = png_chunks(
        (b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 0, 0, 0, 0)),
        (b"tRNS", struct.pack(">H", 1000)),
        (b"IDAT", zlib.compress(b"\0" + struct.pack(">HH", 1000, 0))),
    )
    np.testing.assert_array_equal(np.asarray(read_image(data)), [[[255] * 3, [0] * 3]])


def test_wide_integers_floats_and_no_pixels() -> None:
    asserts_refused(Image.fromarray(np.array([[0, 70000]], np.int32)), "70000", "8 bits")
    asserts_refused(Image.fromarray(np.array([[0, 3.5]], np.float32)), "3.5")
    asserts_refused(Image.new("RGB", (0, 7)), "0 x 7")


def one_pixel(value: float) -> np.ndarray:
    array = np.zeros((4, 4, 3))
    array[1, 2, 0] = value
    return array


SHAPES = [(), (3,), (3, 32, 32), (32, 32, 2), (32, 32, 5), (1, 32, 32, 3), (0, 4, 3), (4, 0)]
TYPES = ["int64", "int8", "bool", "complex64", "object", "U3"]
RANGES = [np.nan, np.inf, -np.inf, -0.01, 1.01, 255]


@pytest.mark.parametrize(
    ("array", "parts"),
    [
        *((np.zeros(shape, np.uint8), (str(shape), "(H, W, 3)")) for shape in SHAPES),
        *((np.zeros((4, 4, 3), kind), (str(np.dtype(kind)), "uint8")) for kind in TYPES),
        *((one_pixel(value), (f"{value:g}", "between 0 and 1")) for value in RANGES),
    ],
)
def test_arrays_that_are_no_pictures(array: np.ndarray, parts: tuple[str, ...]) -> None:
    asserts_refused(array, *parts)


@pytest.mark.parametrize(
    "content",
    [
        *(encoded(Image.new("RGB", (16, 16)), kind) for kind in ("ICO", "PCX", "TGA", "JPEG2000")),
        b"",
        b"\0",
        b"not a picture at all",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
        b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n",
        b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
        b"<!DOCTYPE html><html></html>",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"\x80\x04\x95\x0b\0\0\0\0\0\0\0",
    ],
)
def test_what_is_no_picture(content: bytes, tmp_path: Path) -> None:
    asserts_refused(content, "The image", "PNG")
    path = tmp_path / "photo.png"
    path.write_bytes(content)
    asserts_refused(path, str(path), "PNG")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP", "TIFF", "PPM"])
def test_truncated_files(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    asserts_refused(data[: len(data) // 2], "The image", "damaged")


def test_damage_anywhere_gives_a_picture_or_our_error() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (16, 16, 3), np.uint8)
    for kind in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "PPM"):
        data = bytearray(encoded(Image.fromarray(noise), kind))
        for _ in range(60):
            broken = bytearray(data)
            broken[rng.integers(len(broken))] ^= int(rng.integers(1, 256))
            with contextlib.suppress(ImageError):
                assert read_image(bytes(broken)).mode == "RGB"


@pytest.mark.parametrize(  # over our limit, Pillow's first, second
    ("side", "size"), [(9434, "9434 x 9434"), (12_000, "12000 x 12000"), (60_000, "3600000000")]
)
def test_bombs_are_refused_by_their_header(side: int, size: str) -> None:
    data = png_chunks(
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0" * 9)),
    )
    asserts_refused(data, "too large", size, "89,000,000")


@pytest.mark.parametrize("size", [(1, 65_536), (3_000_000, 1)])
def test_long_strips_are_refused(size: tuple[int, int]) -> None:
    """A row of pixels costs memory of its own, however short it is."""
    content = encoded(Image.new("1", size), "TIFF")
    asserts_refused(content, "too long", f"{size[0]} x {size[1]}", "65,535")


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    asserts_refused(tmp_path / "gone.jpg", "gone.jpg does not exist", "name an image file")
    asserts_refused(tmp_path, str(tmp_path), "is not a file")
    asserts_refused("http://example.org/cat.jpg", "does not exist")
    asserts_refused("a\0b", "does not exist")
    asserts_refused("a" * 5000, "aaa", "too long")
    asserts_refused(3, "int")  # type: ignore[arg-type]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="only where files may be pipes")
def test_what_might_never_end_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    asserts_refused(tmp_path / "pipe.png", "pipe.png is not a file")
    asserts_refused(os.devnull, os.devnull, "is not a file")
