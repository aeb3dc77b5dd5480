"""Files as an attacker, or bad luck, would send them: each made when it is asked for.

`FILES` go the way of a single picture, `ARCHIVES` the way of many. All are harmless in themselves.
"""

import io
import random
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image, features

Maker = Callable[[], bytes]


def picture(mode: str = "RGB") -> Image.Image:
    """An ordinary picture."""
    y, x = np.mgrid[:80, :96]
    bands = [(x * 2) % 256, (y * 3) % 256, (x + y) % 256]
    return Image.fromarray(np.stack(bands, axis=2).astype(np.uint8)).convert(mode)


def saved(kind: str, image: Image.Image | None = None, **options: object) -> bytes:
    """A picture as a file."""
    buffer = io.BytesIO()
    (image or picture()).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    """A part of a PNG file."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def swelling(kind: bytes, head: bytes, size: int) -> bytes:
    """A part of so many megabytes when it is unpacked."""
    return chunk(kind, head + zlib.compress(bytes(size * 1_000_000), 9))


def png(width: int, height: int, *parts: bytes, kind: int = 2, depth: int = 8) -> bytes:
    """A PNG file that claims this size, whatever it holds."""
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(parts) + chunk(b"IEND", b"")


def flat_png(width: int, height: int, kind: int = 2, depth: int = 8) -> bytes:
    """A PNG file of one colour that really has this size, in a few kilobytes."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    row = bytes(1 + (width * channels * depth + 7) // 8)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    palette = (chunk(b"PLTE", bytes(768)), chunk(b"tRNS", bytes(range(256)))) if kind == 3 else ()
    return png(width, height, *palette, chunk(b"IDAT", data), kind=kind, depth=depth)


def exif(value: int) -> bytes:
    """A JPEG file with that EXIF orientation."""
    notes = Image.Exif()
    notes[0x0112] = value
    return saved("JPEG", exif=notes)


def in_scans() -> bytes:
    """A JPEG file of 80 megapixels that claims a scan for each colour: all of it must be kept."""
    content = bytearray(saved("JPEG", Image.new("RGB", (10_000, 8_000), "teal")))
    at = content.find(b"\xff\xda")
    content[at : at + 14] = b"\xff\xda\0\x08\x01\x01\0\0\x3f\0"
    return bytes(content)


def frames(count: int, kind: str = "GIF") -> bytes:
    """An animation."""
    images = [Image.new("P", (16, 16), i % 256) for i in range(count)]
    return saved(kind, images[0], save_all=True, append_images=images[1:], duration=20)


def damaged(content: bytes, seed: int) -> bytes:
    """With some bytes changed, behind the first ones."""
    chance, broken = random.Random(seed), bytearray(content)
    for _ in range(20):
        broken[chance.randrange(8, len(broken))] = chance.randrange(256)
    return bytes(broken)


def tiff(width: int, height: int) -> bytes:
    """A TIFF file that claims this size and has no pixels."""
    entries = [(256, width), (257, height), (258, 8), (259, 1), (262, 1)]
    entries += [(273, 8), (277, 1), (278, height), (279, width * height % 2**32)]
    body = struct.pack("<H", len(entries))
    for tag, value in entries:
        body += struct.pack("<HHII", tag, 4, 1, value)
    return b"II*\0" + struct.pack("<I", 8) + body + struct.pack("<I", 0)


def resized(width: int, height: int) -> bytes:
    """A BMP file that claims this size."""
    return saved("BMP")[:18] + struct.pack("<ii", width, height) + saved("BMP")[26:]


def zipped(entries: dict[str | zipfile.ZipInfo, bytes]) -> bytes:
    """A zip file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def linked() -> bytes:
    """A zip file with a symbolic link to a file of the system."""
    link = zipfile.ZipInfo("link.png")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return zipped({link: b"/etc/passwd", "good.png": saved("PNG")})


def overlapping() -> bytes:
    """A zip file whose entries all point at the same bytes, which swell to gigabytes."""
    content = zipped({"bomb.png": bytes(30 * 2**20)})
    at = content.rfind(b"PK\x01\x02")
    end = content.rfind(b"PK\x05\x06")
    entry, many = content[at:end], 2000
    tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, many, many, len(entry) * many, at, 0)
    return content[:at] + entry * many + tail


FILES: dict[str, Maker] = {
    "empty": lambda: b"",
    "one byte": lambda: b"\0",
    "only zeros": lambda: bytes(100_000),
    "random bytes": lambda: random.Random(0).randbytes(100_000),
    "truncated PNG": lambda: saved("PNG")[:-40],
    "truncated JPEG": lambda: saved("JPEG")[:600],
    "truncated WebP": lambda: saved("WEBP")[:200],
    "truncated GIF": lambda: saved("GIF")[:900],
    "truncated TIFF": lambda: saved("TIFF")[:5000],
    "PNG signature only": lambda: b"\x89PNG\r\n\x1a\n",
    "PNG without pixels": lambda: png(32, 32),
    "PNG of no width": lambda: png(0, 32),
    "PNG with a wrong checksum": lambda: saved("PNG").replace(b"IDAT", b"IDAT\xff", 1),
    "PNG of 50,000 x 50,000": lambda: png(50_000, 50_000, chunk(b"IDAT", zlib.compress(bytes(99)))),
    "PNG of 4 billion x 1": lambda: png(2**31 - 1, 1),
    "PNG whose pixels go on and on": lambda: png(32, 32, swelling(b"IDAT", b"", 50)),
    "PNG with a text that swells": lambda: png(32, 32, swelling(b"zTXt", b"a\0\0", 80)),
    "PNG with a profile that swells": lambda: png(32, 32, swelling(b"iCCP", b"a\0\0", 80)),
    "PNG of 20 megapixels, RGB": lambda: flat_png(5000, 4000),
    "PNG of 20 megapixels, transparent": lambda: flat_png(5000, 4000, kind=6),
    "PNG of 20 megapixels, palette": lambda: flat_png(5000, 4000, kind=3),
    "PNG of 20 megapixels, 16 bit": lambda: flat_png(5000, 4000, kind=0, depth=16),
    "PNG of 50,000 x 400": lambda: flat_png(50_000, 400, kind=6),
    "PNG of 200 x 65,000": lambda: flat_png(200, 65_000),
    "PNG of 80 megapixels": lambda: flat_png(10_000, 8_000),
    "PNG of 1 x 10,000": lambda: flat_png(1, 10_000),
    "PNG of 1 x 26 million": lambda: flat_png(1, 26_000_000),
    "PNG of 10,000 x 1": lambda: flat_png(10_000, 1),
    "PNG of 1 x 1": lambda: flat_png(1, 1),
    "PNG of 1 bit": lambda: saved("PNG", picture(mode="1")),
    "PNG, palette with alpha": lambda: saved("PNG", picture(mode="RGBA").quantize(16)),
    "PNG, grey with alpha": lambda: saved("PNG", picture(mode="LA")),
    "PNG, 16 bit": lambda: saved("PNG", Image.new("I;16", (40, 40), 40_000)),
    "animated PNG of 2,000 frames": lambda: frames(2000, "PNG"),
    "JPEG of 80 megapixels": lambda: saved("JPEG", Image.new("RGB", (10_000, 8_000), "teal")),
    "progressive JPEG of 80 megapixels": lambda: saved(
        "JPEG", Image.new("L", (10_000, 8_000), 90), progressive=True
    ),
    "JPEG of 65,500 x 1,300": lambda: saved("JPEG", Image.new("RGB", (65_500, 1_300), "teal")),
    "JPEG in three scans": in_scans,
    "JPEG of two pictures (MPO)": lambda: saved(
        "MPO", Image.new("RGB", (8_000, 6_000), "teal"), save_all=True, append_images=[picture()]
    ),
    "JPEG, CMYK": lambda: saved("JPEG", picture(mode="CMYK")),
    "JPEG with a broken profile": lambda: saved("JPEG", icc_profile=b"no profile" * 50),
    "JPEG with broken EXIF": lambda: saved("JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"),
    "JPEG with a page behind it": lambda: saved("JPEG") + b"<script>alert(1)</script>" * 999,
    "JPEG, all markers damaged": lambda: saved("JPEG").replace(b"\xff", b"\xfe"),
    "GIF of 5,000 frames": lambda: frames(5000),
    "GIF that claims 65,535 x 65,535": lambda: b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(6) + b";",
    "animated WebP": lambda: frames(50, "WEBP"),
    "TIFF that claims 100,000 x 100,000": lambda: tiff(100_000, 100_000),
    "TIFF without pixels": lambda: tiff(64, 64),
    "TIFF in a circle": lambda: tiff(8, 8)[:-4] + struct.pack("<I", 8),  # a next page: the first
    "TIFF of floats": lambda: saved("TIFF", Image.new("F", (9, 9), 0.5)),
    "TIFF of floats that are no numbers": lambda: saved("TIFF", Image.new("F", (9, 9), np.nan)),
    "TIFF of 32-bit integers": lambda: saved("TIFF", Image.new("I", (9, 9), 2**30)),
    "BMP that claims 30,000 x 30,000": partial(resized, 30_000, 30_000),
    "BMP of negative size": partial(resized, -5, -5),
    "PPM that claims a lot": lambda: b"P6 99999 99999 255\n",
    "PPM with a long number": lambda: b"P6 " + b"9" * 5000 + b" 1 255\n",
    "SVG": lambda: b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "SVG that reads a file": lambda: (
        b'<!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]><svg>&y;</svg>'
    ),
    "EPS": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n",
    "PDF": lambda: saved("PDF"),
    "FITS": lambda: b"SIMPLE  =                    T".ljust(2880) + bytes(2880),
    "HEIC": lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(400),
    "ICO": lambda: saved("ICO"),
    "Photoshop": lambda: b"8BPS\0\x01" + bytes(6) + struct.pack(">HIIHH", 3, 30000, 30000, 8, 3),
    "HTML": lambda: b"<!doctype html><script>alert(1)</script>",
    "pickle": lambda: b"\x80\x04\x95\x1f\0\0\0\0\0\0\0\x8c\x05posix\x8c\x06system\x93.",
    "ELF program": lambda: b"\x7fELF\x02\x01\x01" + bytes(500),
    "zip named .png": lambda: zipped({"a.png": b"x"}),
    "GIF that is JavaScript too": lambda: b"GIF89a=1;alert(1)//" + bytes(99),
    "PNG and zip at once": lambda: saved("PNG") + zipped({"../../evil.png": b"x"}),
    **{f"EXIF orientation {value}": partial(exif, value) for value in (*range(10), 65535)},
    **{f"damaged PNG {i}": partial(damaged, saved("PNG"), i) for i in range(3)},
    **{f"damaged JPEG {i}": partial(damaged, saved("JPEG"), i) for i in range(3)},
    **{f"damaged WebP {i}": partial(damaged, saved("WEBP"), i) for i in range(3)},
}
if features.check("avif"):
    FILES["AVIF"] = lambda: saved("AVIF")
    FILES["truncated AVIF"] = lambda: saved("AVIF")[:300]

ARCHIVES: dict[str, Maker] = {
    "empty zip": lambda: zipped({}),
    "truncated zip": lambda: zipped({"a.png": saved("PNG")})[:-30],
    "zip bomb": lambda: zipped({f"{i}.png": bytes(40 * 2**20) for i in range(3)}),
    "zip of overlapping entries": overlapping,
    "zip with ../": lambda: zipped({"../../../evil.png": saved("PNG"), "/etc/evil.png": b"x"}),
    "zip in a zip in a zip": lambda: zipped({"1.zip": zipped({"0.zip": zipped({"a.png": b"x"})})}),
    "zip of 10,000 files": lambda: zipped({f"{i}.png": b"" for i in range(10_000)}),
    "zip of 600 pictures": lambda: zipped({f"{i}.png": saved("PNG") for i in range(600)}),
    "zip with a link": linked,
    "zip of long and odd names": lambda: zipped(
        {"a" * 60_000 + ".png": saved("PNG"), "<img src=x onerror=alert(1)>.png": saved("PNG")}
    ),
    "damaged zip": lambda: damaged(zipped({"a.png": saved("PNG")}), 0),
}
