"""Tests of model.utils.images: every form a picture comes in gives the same upright RGB."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from model.utils import images
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
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_exif_orientation(kind: str, value: int) -> None:
    image = Image.fromarray(np.ascontiguousarray(STORED[value](PIXELS)))
    exif = Image.Exif()
    exif[ORIENTATION] = value
    options = {"lossless": True} if kind == "WEBP" else {}
    upright = read_image(encoded(image, kind, exif=exif, **options))
    np.testing.assert_array_equal(np.asarray(upright), PIXELS)


@pytest.mark.parametrize("value", STORED)
@pytest.mark.parametrize("at_least", [None, 16])
def test_exif_orientation_of_photos(value: int, at_least: int | None) -> None:
    scene = np.zeros((60, 80, 3), np.uint8)
    scene[:30, :40] = 255, 0, 0  # red at the top left
    scene[:30, 40:] = 0, 255, 0  # green at the top right
    exif = Image.Exif()
    exif[ORIENTATION] = value
    stored = Image.fromarray(np.ascontiguousarray(STORED[value](scene)))
    upright = read_image(encoded(stored, "JPEG", exif=exif), at_least=at_least)
    assert upright.width > upright.height
    top = upright.height // 4
    left, right = (upright.getpixel((upright.width * i // 4, top)) for i in (1, 3))
    np.testing.assert_allclose(left, (255, 0, 0), atol=12)  # type: ignore[arg-type]
    np.testing.assert_allclose(right, (0, 255, 0), atol=12)  # type: ignore[arg-type]


def test_what_was_turned_upright_is_not_turned_again() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (60, 30)).save(buffer, "JPEG", exif=exif)
    once = read_image(buffer.getvalue())
    assert once.size == (30, 60)
    assert read_image(once).size == (30, 60)


@pytest.mark.parametrize("exif", [b"Exif\0\0junk", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"\0" * 9])
def test_broken_exif_does_not_matter(exif: bytes) -> None:
    assert read_image(encoded(Image.new("RGB", (4, 4), "red"), "JPEG", exif=exif)).size == (4, 4)


def test_transparent_parts_become_white() -> None:
    image = Image.new("RGBA", (3, 1))
    image.putdata([(255, 0, 0, 255), (0, 0, 255, 0), (0, 0, 0, 128)])
    expected = [[[255, 0, 0], [255, 255, 255], [127, 127, 127]]]
    for source in (image, encoded(image, "PNG"), np.asarray(image)):
        np.testing.assert_array_equal(np.asarray(read_image(source)), expected)


def test_grey_with_alpha() -> None:
    image = Image.new("LA", (2, 1))
    image.putdata([(10, 255), (10, 0)])
    pixels = np.asarray(read_image(encoded(image, "PNG")))
    np.testing.assert_array_equal(pixels, [[[10] * 3, [255] * 3]])


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_palette(kind: str) -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([9, 8, 7, 200, 100, 50, 0, 0, 0])
    image.putdata([0, 1, 2])
    opaque = [[9, 8, 7], [200, 100, 50], [0, 0, 0]]
    np.testing.assert_array_equal(np.asarray(read_image(encoded(image, kind))), [opaque])
    clear = encoded(image, kind, transparency=1)
    opaque[1] = [255, 255, 255]
    np.testing.assert_array_equal(np.asarray(read_image(clear)), [opaque])


def test_palette_with_partial_transparency() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 0, 0, 0])
    image.putdata([0, 1])
    data = encoded(image, "PNG", transparency=bytes([255, 128]))
    np.testing.assert_array_equal(np.asarray(read_image(data)), [[[0] * 3, [127] * 3]])


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


def test_wide_integers_and_floats_of_tiff() -> None:
    fine = Image.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32))
    np.testing.assert_array_equal(
        np.asarray(read_image(encoded(fine, "TIFF")))[0, :, 0], [0, 128, 255]
    )


def test_one_bit_and_grey() -> None:
    one = Image.new("1", (2, 1))
    one.putpixel((1, 0), 255)
    np.testing.assert_array_equal(
        np.asarray(read_image(encoded(one, "PNG"))), [[[0] * 3, [255] * 3]]
    )
    grey = np.array([[3, 200]], np.uint8)
    for source in (encoded(Image.fromarray(grey), "PNG"), grey, grey[..., None]):
        np.testing.assert_array_equal(np.asarray(read_image(source))[..., 1], grey)


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_animation_gives_its_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "lime")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert read_image(data).getpixel((4, 4)) == (255, 0, 0)


@pytest.mark.parametrize("kind", [kind for kind in images.FORMATS if kind != "JPEG"])
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
    for dtype in (np.float16, np.float32, np.float64):
        np.testing.assert_array_equal(np.asarray(read_image(floats.astype(dtype))), expected)
    np.testing.assert_array_equal(
        np.asarray(read_image(expected.astype(np.uint16) * 257)), expected
    )
    np.testing.assert_array_equal(np.asarray(read_image(expected[:, ::-1])), expected[:, ::-1])


def test_source_is_left_alone() -> None:
    image = Image.new("RGBA", (3, 4), (1, 2, 3, 4))
    before = image.tobytes()
    read_image(image)
    assert (image.mode, image.tobytes()) == ("RGBA", before)
    photo = Image.open(io.BytesIO(encoded(Image.new("RGB", (800, 600)), "JPEG")))
    read_square(photo, 8)
    assert photo.size == (800, 600)


def test_multi_page_tiff_gives_its_first_page() -> None:
    pages = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    assert TiffImagePlugin.TiffImageFile(io.BytesIO(data)).n_frames == 2
    assert read_image(data).getpixel((0, 0)) == (255, 0, 0)


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


def test_to_square_keeps_what_fits() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    square = to_square(Image.fromarray(noise), 32)
    np.testing.assert_array_equal(square, noise)
    assert square.flags.writeable
    assert (square.dtype, square.shape) == (np.uint8, (32, 32, 3))


@pytest.mark.parametrize(("width", "height"), [(40, 32), (32, 41), (33, 32)])
def test_to_square_cuts_the_centre(width: int, height: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    top, left = (height - 32) // 2, (width - 32) // 2
    expected = noise[top : top + 32, left : left + 32]
    np.testing.assert_array_equal(to_square(Image.fromarray(noise), 32), expected)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (2, 3), (31, 33), (700, 500)])
def test_to_square_takes_any_size(size: tuple[int, int]) -> None:
    square = to_square(Image.new("RGB", size, (10, 20, 30)), 32)
    np.testing.assert_array_equal(square, np.broadcast_to([10, 20, 30], (32, 32, 3)))


def test_to_square_smooths_when_it_shrinks() -> None:
    board = (np.indices((512, 512)).sum(0) % 2 * 255).astype(np.uint8)  # 1-pixel chessboard
    square = to_square(Image.fromarray(board).convert("RGB"), 32)
    assert np.abs(square.astype(int) - 127.5).max() < 3


def test_to_square_converts_other_modes() -> None:
    assert to_square(Image.new("RGBA", (50, 40)), 32).tolist() == np.full((32, 32, 3), 255).tolist()
