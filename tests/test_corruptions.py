"""Damaged pictures: every kind does what its published settings say, checked by other means."""

import colorsys
import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import zoom

from benchmarks import _corruptions, corruptions
from benchmarks._corruptions import CHANGES, KINDS, SEVERITIES, change, corrupt

STILL = ("defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression")


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    """Pictures of random pixels, in which no two neighbours are alike."""
    return np.random.default_rng(1).integers(0, 256, (6, 32, 32, 3), np.uint8)


@pytest.fixture(scope="module")
def smooth() -> np.ndarray:
    """Coloured slopes, more like photographs."""
    y, x = np.mgrid[:32, :32]
    rows = [[x * 7, y * 5 + 40, (x + y) * 3 + 10 * i] for i in range(6)]
    return np.array(rows).transpose(0, 2, 3, 1).astype(np.uint8)


def flat(value: int, count: int = 20) -> np.ndarray:
    return np.full((count, 32, 32, 3), value, np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_pictures_and_the_same_ones_again(smooth: np.ndarray, kind: str) -> None:
    before = smooth.copy()
    for severity in SEVERITIES:
        made = corrupt(smooth, kind, severity)
        assert made.dtype == np.uint8
        assert made.shape == smooth.shape
        assert (made != smooth).any()
        np.testing.assert_array_equal(made, corrupt(smooth, kind, severity))
        other = corrupt(smooth, kind, severity, seed=1)
        assert (made == other).all() == (kind in STILL)
    np.testing.assert_array_equal(smooth, before)


@pytest.mark.parametrize(("severity", "sigma"), [(1, 0.04), (3, 0.08), (5, 0.10)])
def test_gaussian_noise_has_the_published_strength(severity: int, sigma: float) -> None:
    made = corrupt(flat(128, 200), "gaussian_noise", severity).astype(float)
    assert made.std() == pytest.approx(255 * sigma, rel=0.02)
    assert made.mean() == pytest.approx(127.5, abs=0.3)  # fractions are cut off
    assert abs(np.corrcoef(made[..., 0].ravel(), made[..., 1].ravel())[0, 1]) < 0.03


@pytest.mark.parametrize(("severity", "photons"), [(1, 500), (3, 100), (5, 50)])
def test_shot_noise_grows_with_the_root_of_the_light(severity: int, photons: int) -> None:
    for value in (25, 100):
        made = corrupt(flat(value), "shot_noise", severity).astype(float)
        expected = 255 * np.sqrt(value / 255 / photons)
        # Cutting fractions off steps of about half a level widens it a little.
        assert made.std() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(("severity", "share"), [(1, 0.01), (5, 0.07)])
def test_impulse_noise_hits_the_published_share(severity: int, share: float) -> None:
    made = corrupt(flat(100, 60), "impulse_noise", severity)
    assert set(np.unique(made)) == {0, 100, 255}
    assert (made == 0).mean() == pytest.approx(share / 2, rel=0.1)
    assert (made == 255).mean() == pytest.approx(share / 2, rel=0.1)


@pytest.mark.parametrize(("severity", "more"), [(1, 0.05), (5, 0.3)])
def test_brightness_is_value_of_hsv(noise: np.ndarray, severity: int, more: float) -> None:
    made = corrupt(noise, "brightness", severity)
    for y, x in ((0, 0), (5, 30), (17, 2), (31, 31)):
        h, s, v = colorsys.rgb_to_hsv(*(noise[3, y, x] / 255))
        expected = 255 * np.array(colorsys.hsv_to_rgb(h, s, min(v + more, 1)))
        np.testing.assert_allclose(made[3, y, x], expected, atol=1)
    assert (corrupt(flat(100), "brightness", severity) == int(100 + 255 * more + 1e-6)).all()
    assert (corrupt(flat(0), "brightness", severity) == int(255 * more + 1e-6)).all()


def test_contrast_shrinks_towards_the_mean_of_each_colour() -> None:
    images = flat(50, 1)
    images[:, :16] = 150
    images[..., 2] = 10
    made = corrupt(images, "contrast", 2)  # half of the contrast is left
    assert (made[:, :16, :, :2] == 125).all()
    assert (made[:, 16:, :, :2] == 75).all()
    assert (made[..., 2] == 10).all()


def test_defocus_spreads_a_point_over_the_disc() -> None:
    images = flat(0, 1)
    images[0, 10, 20] = 255
    made = corrupt(images, "defocus_blur", 5)  # radius 1.5: three by three pixels
    assert (made[0, 9:12, 19:22] == 28).all()  # 255 / 9
    assert made.sum() == 9 * 3 * 28


@pytest.mark.parametrize("severity", [1, 4])
def test_glass_moves_pixels_by_no_more_than_one_each_round(
    noise: np.ndarray, severity: int
) -> None:
    made = corrupt(noise, "glass_blur", severity)
    if severity == 1:  # one round and no blur: each is the old one, or that above or left of it
        up, left = np.roll(noise, 1, axis=1), np.roll(noise, 1, axis=2)
        both = np.roll(up, 1, axis=2)
        same = np.stack([(made == old).all(axis=3) for old in (noise, up, left, both)])
        assert same[:, :, 2:, 2:].any(axis=0).all()
        np.testing.assert_allclose(same[:, :, 2:, 2:].mean(axis=(1, 2, 3)), 0.25, atol=0.03)
        np.testing.assert_array_equal(made[:, :2], noise[:, :2])
        np.testing.assert_array_equal(made[:, :, :2], noise[:, :, :2])
    assert (corrupt(flat(77), "glass_blur", severity) == 77).all()


def test_motion_is_half_a_bell_curve_along_the_angle() -> None:
    images = np.zeros((3, 32, 32, 1), np.float32)
    images[:, 16, 16] = 1
    made = _corruptions.smeared(images, 6, 2.0, np.array([0, 90, 180]))
    bell = np.exp(-(np.arange(13) ** 2) / 8)
    bell /= bell.sum()
    np.testing.assert_allclose(made[0, 16, 16:9:-1, 0], bell[:7], atol=1e-6)  # sees what is right
    np.testing.assert_allclose(made[1, 16:9:-1, 16, 0], bell[:7], atol=1e-6)  # sees what is below
    np.testing.assert_allclose(made[2, 16, 16:23, 0], bell[:7], atol=1e-6)
    np.testing.assert_allclose(made.sum(axis=(1, 2, 3)), 1, atol=1e-3)


def test_zoom_blur_is_the_mean_of_zoomed_pictures(noise: np.ndarray) -> None:
    x = noise[0] / 255
    total = x.copy()
    for factor in np.arange(1, 1.11, 0.01):
        cut = int(np.ceil(32 / factor))
        first = (32 - cut) // 2
        part = x[first : first + cut, first : first + cut]
        large = zoom(part, (factor, factor, 1), order=1)
        trim = (len(large) - 32) // 2
        total += large[trim : trim + 32, trim : trim + 32]
    expected = 255 * total / (len(np.arange(1, 1.11, 0.01)) + 1)
    np.testing.assert_allclose(corrupt(noise[:1], "zoom_blur", 2)[0], np.floor(expected), atol=1)


def test_snow_only_brightens_and_falls_from_both_sides(noise: np.ndarray) -> None:
    for severity in (1, 5):
        assert (corrupt(noise, "snow", severity) >= noise.astype(int) - 1).all()
        made = corrupt(flat(0), "snow", severity)
        np.testing.assert_array_equal(made, made[:, ::-1, ::-1])
        assert (made.std(axis=(1, 2, 3)) > 1).all()
        np.testing.assert_array_equal(made[..., 0], made[..., 2])


@pytest.mark.parametrize(("severity", "kept", "added"), [(1, 1, 0.2), (5, 0.75, 0.45)])
def test_frost_lies_over_the_picture(severity: int, kept: float, added: float) -> None:
    bare = corrupt(flat(0), "frost", severity).astype(float)
    assert bare.max() <= 255 * added
    over = corrupt(flat(80), "frost", severity).astype(float)  # the same ice
    np.testing.assert_allclose(over - bare, 80 * kept, atol=1)


@pytest.mark.parametrize(("severity", "thickness"), [(1, 0.2), (5, 1.5)])
def test_fog_runs_from_thin_to_thick(severity: int, thickness: float) -> None:
    made = corrupt(flat(102), "fog", severity)  # 0.4
    thinnest = 255 * 0.4**2 / (0.4 + thickness)
    np.testing.assert_allclose(made.max(axis=(1, 2, 3)), 102, atol=1)
    np.testing.assert_allclose(made.min(axis=(1, 2, 3)), thinnest, atol=1)


def test_elastic_of_the_first_severity_is_affine() -> None:
    """A slope stays a slope, with the same two rates everywhere that no border is mirrored."""
    images = np.tile(np.arange(32, dtype=np.uint8)[:, None] * 8, (20, 32, 1, 3))
    made = corrupt(images, "elastic_transform", 1).astype(float)[:, 11:21, 11:21, 0]
    y, x = np.mgrid[:10, :10]
    design = np.stack([np.ones(100), y.ravel(), x.ravel()], axis=1)
    rates, _, _, _ = np.linalg.lstsq(design, made.reshape(20, 100).T, rcond=None)
    np.testing.assert_allclose(design @ rates, made.reshape(20, 100).T, atol=1.5)
    assert rates[2].std() > 0.3  # another map for each picture


@pytest.mark.parametrize(("severity", "side"), [(1, 30), (2, 28), (3, 27), (4, 24), (5, 20)])
def test_pixelate_leaves_so_many_rows_and_columns(
    noise: np.ndarray, severity: int, side: int
) -> None:
    made = corrupt(noise, "pixelate", severity)
    columns = (made[:, :, 1:] != made[:, :, :-1]).any(axis=(0, 1, 3)).sum() + 1
    rows = (made[:, 1:] != made[:, :-1]).any(axis=(0, 2, 3)).sum() + 1
    assert (rows, columns) == (side, side)


@pytest.mark.parametrize(("severity", "quality"), [(1, 80), (2, 65), (3, 58), (4, 50), (5, 40)])
def test_jpeg_is_pillows(smooth: np.ndarray, severity: int, quality: int) -> None:
    made = corrupt(smooth, "jpeg_compression", severity)
    for before, after in zip(smooth, made, strict=True):
        file = io.BytesIO()
        Image.fromarray(before).save(file, "JPEG", quality=quality)
        np.testing.assert_array_equal(after, np.asarray(Image.open(file)))


def test_flips_and_shifts_are_exact() -> None:
    images = np.random.default_rng(3).integers(0, 256, (40, 32, 32, 3), np.uint8)
    np.testing.assert_array_equal(change(images, "flip"), images[:, :, ::-1])
    for by in (1, 2, 4):
        made = change(images, f"shift_{by}")
        inner = slice(by, -by)
        found = []
        for axis, way in ((1, by), (1, -by), (2, by), (2, -by)):
            moved = np.roll(images, way, axis=axis)[:, inner, inner]
            found.append((made[:, inner, inner] == moved).all(axis=(1, 2, 3)))
        assert (np.sum(found, axis=0) == 1).all()  # each picture one way,
        assert np.any(found, axis=1).all()  # and every way is taken


@pytest.mark.parametrize("factor", [0.7, 0.85, 1.2])
def test_sizes_change_around_the_middle(factor: float) -> None:
    """A white square of 16 pixels covers so many more or fewer."""
    images = flat(0, 1)
    images[:, 8:24, 8:24] = 255
    made = change(images, f"scale_{factor}")[0, ..., 0] / 255
    inner = made[4:28, 4:28]  # what is mirrored at the border lies outside
    assert inner.sum() == pytest.approx((16 * factor) ** 2, rel=0.12)
    y, x = np.mgrid[4:28, 4:28]
    assert (inner * y).sum() / inner.sum() == pytest.approx(15.5, abs=0.6)
    assert (inner * x).sum() / inner.sum() == pytest.approx(15.5, abs=0.6)


def test_grey_is_luminance(noise: np.ndarray) -> None:
    made = change(noise, "grey")
    expected = noise @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(made, np.repeat(expected[..., None], 3, axis=3), atol=0.51)


def test_a_network_that_sees_only_light_is_measured() -> None:
    """Dark and bright pictures: it stays right until noise or fog makes one like the other."""
    images = torch.from_numpy(np.concatenate([flat(60, 3), flat(200, 5)])).permute(0, 3, 1, 2)

    def logits(x: torch.Tensor) -> torch.Tensor:
        assert x.dtype == torch.uint8
        assert x.shape[1:] == (3, 32, 32)
        mean = x.float().mean(dim=(1, 2, 3))
        return torch.stack([130 - mean, mean - 130], dim=1)

    found = corruptions.measure(logits, images, torch.tensor([0] * 3 + [1] * 5))
    assert found["clean"] == 1
    assert found["extras"] == dict.fromkeys(CHANGES, 1.0)
    assert found["kinds"]["contrast"] == {"severities": [1.0] * 5, "mean": 1.0}
    # The dark ones become 60 + 255 * 0.3 = 136, on the wrong side.
    assert found["kinds"]["brightness"]["severities"] == [1, 1, 1, 1, 0.625]
    assert found["kinds"]["brightness"]["mean"] == pytest.approx(0.925)
    means = {kind: row["mean"] for kind, row in found["kinds"].items()}
    assert found["mean"] == pytest.approx(sum(means.values()) / 15, abs=1e-5)
    trained = ("gaussian_noise", "brightness", "contrast", "pixelate", "jpeg_compression")
    assert found["mean_trained_on"] == pytest.approx(sum(means[k] for k in trained) / 5, abs=1e-5)
    never = [value for kind, value in means.items() if kind not in trained]
    assert found["mean_never_seen"] == pytest.approx(sum(never) / 10, abs=1e-5)
