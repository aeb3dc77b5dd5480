"""Draws the example pictures, so that the project needs nobody else's photos."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIZE, SCALE = 256, 4  # drawn larger, then reduced: smooth edges


def sky(top: tuple[int, int, int], bottom: tuple[int, int, int]) -> Image.Image:
    """A vertical gradient with a little noise, as cameras give."""
    side = SIZE * SCALE
    share = np.linspace(0, 1, side)[:, None, None]
    colours = (1 - share) * np.array(top) + share * np.array(bottom)  # (side, 1, 3)
    noise = np.random.default_rng(0).normal(0, 5, (side, side, 1))
    return Image.fromarray((colours + noise).clip(0, 255).astype(np.uint8))


def polygon(draw: ImageDraw.ImageDraw, points: list[tuple[float, float]], colour: str) -> None:
    """Fills a polygon; coordinates are shares of the picture's side."""
    side = SIZE * SCALE
    draw.polygon([(x * side, y * side) for x, y in points], fill=colour)


def airplane() -> Image.Image:
    """A jet before a blue sky."""
    image = sky((95, 150, 215), (190, 215, 240))
    draw, side = ImageDraw.Draw(image), SIZE * SCALE
    polygon(draw, [(0.45, 0.5), (0.62, 0.5), (0.36, 0.24), (0.28, 0.24)], "#9aa3ad")
    draw.rounded_rectangle(
        (0.12 * side, 0.45 * side, 0.86 * side, 0.56 * side), 0.055 * side, "#e9edf1"
    )
    polygon(draw, [(0.8, 0.451), (0.93, 0.515), (0.8, 0.559)], "#e9edf1")
    polygon(draw, [(0.13, 0.47), (0.25, 0.46), (0.15, 0.28), (0.08, 0.28)], "#5b6b7d")
    polygon(draw, [(0.42, 0.53), (0.62, 0.53), (0.34, 0.82), (0.25, 0.82)], "#c3cad2")
    polygon(draw, [(0.12, 0.52), (0.22, 0.52), (0.1, 0.62), (0.05, 0.62)], "#c3cad2")
    for i in range(10):
        x = (0.3 + 0.05 * i) * side
        draw.ellipse((x, 0.48 * side, x + 0.018 * side, 0.498 * side), fill="#3c4a5a")
    return image


def ship() -> Image.Image:
    """A freighter on the sea."""
    image = sky((170, 195, 215), (215, 225, 230))
    draw, side = ImageDraw.Draw(image), SIZE * SCALE
    draw.rectangle((0, 0.62 * side, side, side), fill="#33607f")
    for i in range(40):
        x, y = (i * 0.381) % 1 * side, (0.66 + (i * 0.157) % 0.33) * side
        draw.line((x, y, x + 0.08 * side, y), fill="#5785a3", width=SCALE)
    polygon(draw, [(0.06, 0.53), (0.95, 0.5), (0.88, 0.7), (0.12, 0.7)], "#7d2f2a")
    polygon(draw, [(0.06, 0.53), (0.95, 0.5), (0.93, 0.56), (0.075, 0.58)], "#22303c")
    for i, colour in enumerate(("#c46a2b", "#3f7d58", "#d9b44a", "#8a3b52", "#c46a2b", "#44708f")):
        x = (0.3 + 0.095 * i) * side
        draw.rectangle((x, 0.42 * side, x + 0.085 * side, 0.52 * side), fill=colour)
    draw.rectangle((0.12 * side, 0.3 * side, 0.26 * side, 0.54 * side), fill="#f2f2ee")
    draw.rectangle((0.135 * side, 0.33 * side, 0.245 * side, 0.36 * side), fill="#33424f")
    draw.rectangle((0.16 * side, 0.2 * side, 0.21 * side, 0.3 * side), fill="#b5452f")
    return image


def main() -> None:
    """Writes airplane.png and ship.png beside this file."""
    for draw in (airplane, ship):
        image = draw().resize((SIZE, SIZE), Image.Resampling.LANCZOS)
        image = image.filter(ImageFilter.GaussianBlur(0.7))
        image.save(Path(__file__).with_name(f"{draw.__name__}.png"))


if __name__ == "__main__":
    main()
