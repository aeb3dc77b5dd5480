"""Tests of model.utils.images: every form a picture comes in gives the same upright RGB."""

import base64
import io
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.utils import images
from model.utils.errors import ImageError
from model.utils.images import read_image, read_square, to_square

ORIENTATION = 0x0112
# A picture of 3 x 2 different pixels; every turn of it can be told from the others.
PIXELS = np.arange(18, dtype=np.uint8).reshape(2, 3, 3) * 13


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


# What must be done to the upright picture to get the stored one, by the EXIF standard: the value
# names the sides of the scene that the stored first row and the stored first column show.
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],  # first row top, first column right
    3: lambda a: a[::-1, ::-1],  # bottom, right
    4: lambda a: a[::-1],  # bottom, left
    5: lambda a: a.swapaxes(0, 1),  # left, top
    6: lambda a: a[:, ::-1].swapaxes(0, 1),  # right, top
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),  # right, bottom
    8: lambda a: a[::-1].swapaxes(0, 1),  # left, bottom
}


@pytest.mark.parametrize("value", STORED)
@pytest.mark.parametrize("at_least", [None, 16])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation(kind: str, value: int, at_least: int | None) -> None:
    scene = np.zeros((60, 80, 3), np.uint8)
    scene[:30, :40] = 255, 0, 0  # red at the top left
    scene[:30, 40:] = 0, 255, 0  # green at the top right
    exif = Image.Exif()
    exif[ORIENTATION] = value
    stored = Image.fromarray(np.ascontiguousarray(STORED[value](scene)))
    upright = read_image(encoded(stored, kind, exif=exif), at_least=at_least)
    assert upright.width > upright.height
    assert read_image(upright).size == upright.size  # what was turned is not turned again
    top = upright.height // 4
    left, right = (upright.getpixel((upright.width * i // 4, top)) for i in (1, 3))
    np.testing.assert_allclose(left, (255, 0, 0), atol=12)  # type: ignore[arg-type]
    np.testing.assert_allclose(right, (0, 255, 0), atol=12)  # type: ignore[arg-type]


@pytest.mark.parametrize("exif", [b"Exif\0\0junk", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"\0" * 9])
def test_broken_exif_does_not_matter(exif: bytes) -> None:
    assert read_image(encoded(Image.new("RGB", (4, 4), "red"), "JPEG", exif=exif)).size == (4, 4)


def row(mode: str, values: list, palette: list[int] | None = None) -> Image.Image:
    """A picture one pixel high."""
    image = Image.new(mode, (len(values), 1))
    if palette:
        image.putpalette(palette)
    image.putdata(values)
    return image


RED, GREY, WHITE = [255, 0, 0], [127] * 3, [255] * 3
PALETTE = [9, 8, 7, 200, 100, 50, 0, 0, 0]
COLOURS = [PALETTE[:3], PALETTE[3:6], PALETTE[6:]]
CLEAR = {"transparency": 1}  # the palette's second colour
PARTLY = {"transparency": bytes([255, 128])}


@pytest.mark.parametrize(
    ("image", "kind", "options", "expected"),
    [
        (row("RGBA", [(*RED, 255), (0, 0, 9, 0), (0, 0, 0, 128)]), "PNG", {}, [RED, WHITE, GREY]),
        (row("LA", [(10, 255), (10, 0)]), "PNG", {}, [[10] * 3, WHITE]),
        (row("P", [0, 1, 2], PALETTE), "PNG", {}, COLOURS),
        (row("P", [0, 1, 2], PALETTE), "GIF", {}, COLOURS),
        (row("P", [0, 1, 2], PALETTE), "PNG", CLEAR, [COLOURS[0], WHITE, COLOURS[2]]),
        (row("P", [0, 1, 2], PALETTE), "GIF", CLEAR, [COLOURS[0], WHITE, COLOURS[2]]),
        (row("P", [0, 1], [0] * 6), "PNG", PARTLY, [[0] * 3, GREY]),
        (row("1", [0, 255]), "PNG", {}, [[0] * 3, WHITE]),
        (row("L", [3, 200]), "PNG", {}, [[3] * 3, [200] * 3]),
        (row("F", [0.0, 0.5, 1.0]), "TIFF", {}, [[0] * 3, [128] * 3, WHITE]),
    ],
)  # fmt: skip
def test_colours_of_every_kind(
    image: Image.Image, kind: str, options: dict[str, object], expected: list
) -> None:
    """Transparent parts become white."""
    pixels = np.asarray(read_image(encoded(image, kind, **options)))
    np.testing.assert_array_equal(pixels, [expected])
    if not options:
        np.testing.assert_array_equal(np.asarray(read_image(image)), [expected])


def test_cmyk_photo() -> None:
    data = encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG")  # no cyan: red
    np.testing.assert_allclose(read_image(data).getpixel((8, 8)), (255, 0, 0), atol=6)  # type: ignore[arg-type]


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    values = np.array([[0, 257, 32768, 65535]], np.uint16)
    expected = [[[0] * 3, [1] * 3, [128] * 3, [255] * 3]]  # 65535 / 255 = 257
    image = Image.fromarray(values)
    assert image.mode == "I;16"
    for source in (image, encoded(image, "PNG"), encoded(image, "TIFF"), values):
        np.testing.assert_array_equal(np.asarray(read_image(source)), expected)
    pgm = b"P5 4 1 65535\n" + values.astype(">u2").tobytes()
    np.testing.assert_array_equal(np.asarray(read_image(pgm)), expected)
    big_endian = Image.frombytes("I;16B", (4, 1), values.astype(">u2").tobytes())
    np.testing.assert_array_equal(np.asarray(read_image(big_endian)), expected)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF"])
def test_of_several_frames_or_pages_the_first_counts(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "lime")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert read_image(data).getpixel((4, 4)) == (255, 0, 0)


# 64 x 48 pixels, a quarter each of red, green, blue and yellow. The reader has no writer.
HEIC = """
    AAAAHGZ0eXBoZWl4AAAAAG1pZjFoZWl4bWlhZgAAAX5tZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAA
    AAAAAAAAACJpbG9jAAAAAERAAAEAAQAAAAABogABAAAAAAAAASIAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABo
    dmMxAAAAAA5waXRtAAAAAAABAAAA/mlwcnAAAADeaXBjbwAAAHdodmNDAQQIAAAAnjgAAAAAHvAA/P/4+AAADwNgAAEA
    F0ABDAH//wQIAAADAJ44AAADAAAeugJAYQABACpCAQEECAAAAwCeOAAAAwAAHpAEECCy3VyU1zcBDQYEAAADAGQAAAMA
    BCBiAAEACEQBwXMYMAiQAAAAE2NvbHJuY2x4AAEADQAGgAAAABRpc3BlAAAAAAAAAEAAAABAAAAAKGNsYXAAAABAAAAA
    AQAAADAAAAABAAAAAAAAAAL////wAAAAAgAAABBwaXhpAAAAAAMICAgAAAAYaXBtYQAAAAAAAAABAAEFgQIDBYQAAAEq
    bWRhdAAAAR4oAa8GOPCXve238kgf//1Ox6H9Jf6J+zqWnVfJNG+/MlX//AOwkvcR7/lZ9xPo69fELny5+N81pBP+zdoX
    UrfLtYyrGX9anBtokTsDlxNhMYotnL8ATMN916pEbdHEfW2o//H1n/+m8fdk98PWP+Ez//lxFj16JSJ8XvX+v7XfRFJW
    xfvj6me9mcpWKap+DhU3zpkfqc3cmjDDxpO9MHg7j3lVehsJj6zd7BKnGHoOJTu7mDsSbDrS7BU107po/iMg92AoPCs+
    q6HRNIHv1gBGyVF5elddrhmLP3vn5317VxLHNN3KXBKIevWeDDqWKOGZ8tDECctsrsOInGR5bQX6gspjqAONK11/fVCD
    6DT2Rh0FZC8MLMKzuec8RBLg
"""


def test_what_iphones_save_is_read() -> None:
    pixels = np.asarray(read_image(base64.b64decode(HEIC)), int)  # (48, 64, 3)
    assert pixels.shape == (48, 64, 3)
    colours = {(12, 16): (200, 30, 30), (12, 48): (30, 200, 30), (36, 16): (30, 30, 200)}
    for place, colour in (colours | {(36, 48): (220, 220, 40)}).items():
        np.testing.assert_allclose(pixels[place], colour, atol=3)
    with pytest.raises(ImageError, match="damaged"):
        read_image(base64.b64decode(HEIC)[:500])


WRITTEN = [kind for kind in images.FORMATS if kind not in ("JPEG", "HEIF")]


@pytest.mark.parametrize("kind", WRITTEN)
def test_formats_come_back_unchanged(kind: str, tmp_path: Path) -> None:
    options: dict[str, object] = {"lossless": True} if kind == "WEBP" else {}
    if kind == "AVIF":
        options = {"quality": 100, "subsampling": "4:4:4"}
    colours = np.repeat(np.repeat(PIXELS, 8, 0), 8, 1)
    path = tmp_path / "picture.any"  # the content decides, not the name
    path.write_bytes(encoded(Image.fromarray(colours), kind, **options))
    for source in (path, str(path), path.read_bytes()):
        tolerance = {"AVIF": 3, "GIF": 0}.get(kind, 0)
        np.testing.assert_allclose(
            np.asarray(read_image(source), int), colours.astype(int), atol=tolerance
        )


def test_array_types() -> None:
    expected = np.array([[[0, 128, 255]]], np.uint8)
    floats = np.array([[[0, 0.5, 1]]])
    words = expected.astype(np.uint16) * 257
    for array in (words, *(floats.astype(f"f{size}") for size in (2, 4, 8))):
        np.testing.assert_array_equal(np.asarray(read_image(array)), expected)
    np.testing.assert_array_equal(np.asarray(read_image(expected[:, ::-1])), expected[:, ::-1])
    for grey in (expected[..., 1], expected[..., 1:2]):
        np.testing.assert_array_equal(np.asarray(read_image(grey)), [[[128] * 3]])


def test_large_photos_are_decoded_at_a_reduced_size() -> None:
    scene = np.repeat(np.linspace(0, 255, 4000).astype(np.uint8)[None, :, None], 3000, 0)
    photo = encoded(Image.fromarray(np.repeat(scene, 3, 2)), "JPEG")
    assert read_image(photo).size == (4000, 3000)
    # By 8, the strongest that JPEG knows, while it is decoded; then by 2.
    assert read_image(photo, at_least=128).size == (250, 188)
    assert read_image(photo, at_least=1000).size == (2000, 1500)
    exact = to_square(read_image(photo), 32).astype(int)
    np.testing.assert_allclose(read_square(photo, 32).astype(int), exact, atol=2)
    # The centred square spans columns 500 to 3500 of a ramp.
    ideal = 255 * (500 + 3000 * (np.arange(32) + 0.5) / 32) / 4000
    np.testing.assert_allclose(exact[16, :, 0], ideal, atol=2)


@pytest.mark.parametrize(("width", "height"), [(32, 32), (40, 32), (32, 41), (33, 32)])
def test_to_square_cuts_the_centre(width: int, height: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    top, left = (height - 32) // 2, (width - 32) // 2
    square = to_square(Image.fromarray(noise), 32)
    np.testing.assert_array_equal(square, noise[top : top + 32, left : left + 32])
    assert square.flags.writeable


def test_to_square_smooths_when_it_shrinks_and_converts_other_modes() -> None:
    board = (np.indices((512, 512)).sum(0) % 2 * 255).astype(np.uint8)  # 1-pixel chessboard
    square = to_square(Image.fromarray(board), 32)
    assert np.abs(square.astype(int) - 127.5).max() < 3
    assert to_square(Image.new("RGBA", (50, 40)), 32).tolist() == np.full((32, 32, 3), 255).tolist()


def chunk(kind: bytes, body: bytes, *, wrong: bool = False) -> bytes:
    """A part of a PNG file, with a wrong checksum if asked for."""
    check = zlib.crc32(kind + body) ^ wrong
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)


LARGE = zlib.compress(bytes(2**21))  # Pillow refuses to unpack more than 1 MiB
NOTES = {
    "profile": chunk(b"iCCP", b"name\0\0" + LARGE),
    "text": chunk(b"zTXt", b"key\0\0" + LARGE),
    "international text": chunk(b"iTXt", b"key\0\1\0\0\0" + LARGE),
    "much text": chunk(b"tEXt", b"key\0" + bytes(2**20)) * 70,
    "wrong checksum": chunk(b"tEXt", b"key\0value", wrong=True),
    "no method": chunk(b"iCCP", b"name"),
    "cut short": chunk(b"pHYs", b"\0"),
}


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("note", NOTES)
def test_notes_do_not_keep_a_png_from_being_read(note: str, where: str, tmp_path: Path) -> None:
    picture = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    exif = Image.Exif()
    exif[ORIENTATION] = 3
    data = encoded(picture, "PNG", exif=exif)
    at = 33 if where == "before" else len(data) - 12  # behind the header, or before the end
    data = data[:at] + NOTES[note] + data[at:]
    (tmp_path / "a.png").write_bytes(data)
    for source in (data, tmp_path / "a.png"):
        np.testing.assert_array_equal(read_image(source), np.asarray(picture)[::-1, ::-1])
    body = data.index(b"IDAT") + 10
    broken = data[:body] + bytes([data[body] ^ 255]) + data[body + 1 :]
    for source in (broken, broken[: body + 2]):
        with pytest.raises(ImageError):
            read_image(source)


def test_a_text_bomb_is_not_unpacked() -> None:
    data = encoded(Image.new("RGB", (32, 32)), "PNG")
    bomb = chunk(b"iTXt", b"key\0\1\0\0\0" + zlib.compress(bytes(2**27), 9))
    tracemalloc.start()
    read_square(data[:33] + bomb + data[33:], 32)
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


@pytest.mark.parametrize("extra", [(b"gAMA", b"\0\3[`"), None])
def test_plain_files_are_read_fast_with_the_same_pixels(
    extra: tuple[bytes, bytes] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    data = encoded(Image.fromarray(noise), "PNG")
    data = data[:33] + (chunk(*extra) if extra else b"") + data[33:]
    np.testing.assert_array_equal(read_square(data, 32), noise)
    monkeypatch.setattr(images, "read_image", lambda *args, **options: pytest.fail("slow"))
    np.testing.assert_array_equal(read_square(data, 32), noise)
