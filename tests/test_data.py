"""Datasets in the hub's layout, made by the tests: columns, classes, splits, streams, errors."""

import http.server
import io
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Value
from datasets import Image as ImageType
from PIL import Image

from model import data
from model.errors import DataError

REAL = os.environ.get("CIFARNET_TEST_DATA")


def pixels(count: int, size: int = 32, grey: bool = False, seed: int = 0) -> np.ndarray:
    shape = (count, size, size) if grey else (count, size, size, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(image: np.ndarray) -> dict[str, Any]:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}


def save(folder: Path, split: str, columns: dict[str, Any], types: dict[str, Any]) -> None:
    """Writes one split in the hub's layout, in two shards."""
    folder.mkdir(exist_ok=True)
    rows = Dataset.from_dict(columns, features=Features(types))
    for shard in range(2):
        part = rows.shard(2, shard, contiguous=True)
        part.to_parquet(str(folder / f"{split}-{shard:05}-of-00002.parquet"))


def layout(
    folder: Path,
    images: str = "img",
    labels: dict[str, Any] | None = None,
    grey: bool = False,
    size: int = 32,
    splits: tuple[str, ...] = ("train", "test"),
) -> Path:
    """A dataset of 30 images a split with the columns asked for."""
    types = {"label": ClassLabel(names=["a", "b", "c"])} if labels is None else labels
    for seed, split in enumerate(splits):
        columns: dict[str, Any] = {images: [encoded(x) for x in pixels(30, size, grey, seed)]}
        for column, kind in types.items():
            if isinstance(kind, ClassLabel):
                columns[column] = [i % len(kind.names) for i in range(30)]
            else:
                columns[column] = [f"kind {i % 3}" for i in range(30)]
        save(folder, split, columns, {images: ImageType(), **types})
    return folder


def test_cifar10s_layout(tmp_path: Path) -> None:
    source = data.open_dataset(str(layout(tmp_path / "cifar")))
    assert (source.image_column, source.label_column) == ("img", "label")
    assert source.label_names == ("a", "b", "c")
    assert source.name == "cifar"
    train = source.load("train")
    assert torch.equal(train.images, torch.from_numpy(pixels(30)).permute(0, 3, 1, 2))
    assert train.labels.tolist() == [i % 3 for i in range(30)]
    assert train.indices.tolist() == list(range(30))
    test = source.load("test")
    assert torch.equal(test.images, torch.from_numpy(pixels(30, seed=1)).permute(0, 3, 1, 2))
    assert source.nbytes("train") == 30 * 3 * 32 * 32


def test_cifar100s_layout_prefers_fine_labels(tmp_path: Path) -> None:
    kinds = {
        "coarse_label": ClassLabel(names=["x", "y"]),
        "fine_label": ClassLabel(names=["p", "q", "r", "s"]),
    }
    folder = layout(tmp_path / "cifar100", labels=kinds)
    assert data.open_dataset(str(folder)).label_names == ("p", "q", "r", "s")
    coarse = data.open_dataset(str(folder), label_column="coarse_label")
    assert coarse.label_names == ("x", "y")
    assert coarse.labels("train").tolist() == [i % 2 for i in range(30)]


def test_fashion_mnists_layout_becomes_rgb_of_the_size(tmp_path: Path) -> None:
    folder = layout(tmp_path / "fashion", images="image", grey=True, size=28)
    source = data.open_dataset(str(folder))
    images = source.load("train").images
    assert images.shape == (30, 3, 32, 32)
    assert torch.equal(images[:, 0], images[:, 2])
    expected = Image.fromarray(pixels(1, 28, grey=True)[0]).convert("RGB")
    expected = expected.resize((32, 32), Image.Resampling.BICUBIC)
    found = images[0].permute(1, 2, 0).numpy().astype(int)
    assert abs(found - np.asarray(expected).astype(int)).max() <= 1


def test_string_labels_become_classes(tmp_path: Path) -> None:
    source = data.open_dataset(str(layout(tmp_path / "d", labels={"label": Value("string")})))
    assert source.label_names == ("kind 0", "kind 1", "kind 2")
    assert source.labels("train").tolist() == [i % 3 for i in range(30)]


def test_class_folders(shapes: Path) -> None:
    source = data.open_dataset(str(shapes))
    assert source.label_names == ("cross", "ring", "stripes")
    assert source.labels("train").bincount().tolist() == [80, 80, 80]
    test = source.load("test", torch.tensor([45, 0, 21]))
    assert test.labels.tolist() == [2, 0, 1]
    first = np.asarray(Image.open(shapes / "test" / "cross" / "000.png"))
    assert np.array_equal(test.images[1].permute(1, 2, 0).numpy(), first)


def test_without_a_test_split_a_stratified_part_of_train_becomes_it(shapes: Path) -> None:
    source = data.open_dataset(str(shapes / "train"), test_fraction=0.25)
    assert source.labels("train").bincount().tolist() == [60, 60, 60]
    assert source.labels("test").bincount().tolist() == [20, 20, 20]
    everything = {x.numpy().tobytes() for s in ("train", "test") for x in source.load(s).images}
    assert len(everything) == 240
    again = source.load("test", torch.tensor([59, 3]))
    assert torch.equal(again.images, source.load("test").images[[59, 3]])


def test_a_validation_split_serves_as_test(tmp_path: Path) -> None:
    folder = layout(tmp_path / "d", splits=("train", "validation"))
    source = data.open_dataset(str(folder))
    assert torch.equal(
        source.load("test").images, torch.from_numpy(pixels(30, seed=1)).permute(0, 3, 1, 2)
    )


@pytest.mark.parametrize("size", [1, 7, 30, 100])
def test_pieces_are_the_whole_in_order(tmp_path: Path, size: int) -> None:
    source = data.open_dataset(str(layout(tmp_path / "d")))
    wanted = torch.tensor([2, 3, 5, 8, 13, 21, 29])
    pieces = list(source.iter_batches("train", wanted, size))
    assert torch.equal(torch.cat([p.indices for p in pieces]), wanted)
    assert torch.equal(torch.cat([p.images for p in pieces]), source.load("train").images[wanted])
    assert all(len(piece) == size for piece in pieces[:-1])


def test_fingerprints_tell_pixels_labels_and_names_apart(tmp_path: Path) -> None:
    base = data.open_dataset(str(layout(tmp_path / "a")))
    same = data.open_dataset(str(layout(tmp_path / "b")))
    kinds = {"label": ClassLabel(names=["a", "b", "d"])}
    renamed = data.open_dataset(str(layout(tmp_path / "c", labels=kinds)))
    prints = {s.fingerprint("train") for s in (base, renamed)} | {base.fingerprint("test")}
    assert base.fingerprint("train") == same.fingerprint("train")
    assert len(prints) == 3


def test_the_test_split_is_not_read_before_it_is_asked_for(tmp_path: Path) -> None:
    folder = layout(tmp_path / "d")
    source = data.open_dataset(str(folder))
    for shard in folder.glob("test-*"):
        shard.unlink()
    assert len(source.load("train")) == 30
    with pytest.raises((DataError, FileNotFoundError)):
        source.load("test")


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:60],
        lambda whole: whole[:-200],
        lambda whole: whole[:200] + bytes([whole[200] ^ 0x55]) + whole[201:],
        lambda whole: b"GIF89a" + whole,
        lambda whole: b"",
    ],
)
def test_an_image_that_cannot_be_decoded_is_named(
    damage: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    images = [encoded(x) for x in pixels(6)]
    whole = images[4]["bytes"]
    types = {"img": ImageType(), "label": ClassLabel(names=["a", "b"])}
    images[4]["bytes"] = damage(whole)
    for split in ("train", "test"):
        save(tmp_path / "d", split, {"img": images, "label": [0, 1] * 3}, types)
    with pytest.raises(DataError, match="Image 4 of the train split"):
        data.open_dataset(str(tmp_path / "d")).load("train")


@pytest.mark.parametrize("label", [-1, None])
def test_labels_out_of_range_are_named(tmp_path: Path, label: int | None) -> None:
    columns = {"img": [encoded(x) for x in pixels(6)], "label": [0, 1, 0, label, 0, 1]}
    types = {"img": ImageType(), "label": ClassLabel(names=["a", "b"])}
    save(tmp_path / "d", "train", columns, types)
    with pytest.raises(DataError, match="Row 3 of the train split"):
        data.open_dataset(str(tmp_path / "d")).labels("train")


def test_missing_columns_are_named(tmp_path: Path) -> None:
    folder = str(layout(tmp_path / "d"))
    with pytest.raises(DataError, match=r"no image column 'photo'.*img"):
        data.open_dataset(folder, image_column="photo")
    with pytest.raises(DataError, match=r"no column 'kind'.*label"):
        data.open_dataset(folder, label_column="kind")
    bare = layout(tmp_path / "bare", labels={})
    with pytest.raises(DataError, match="no column of labels"):
        data.open_dataset(str(bare))
    save(tmp_path / "text", "train", {"label": [0, 1]}, {"label": ClassLabel(names=["a", "b"])})
    with pytest.raises(DataError, match="no column of images"):
        data.open_dataset(str(tmp_path / "text"))


def test_one_class_is_not_enough(tmp_path: Path) -> None:
    folder = layout(tmp_path / "d", labels={"label": ClassLabel(names=["only"])})
    with pytest.raises(DataError, match="only the class only"):
        data.open_dataset(str(folder))


def test_names_that_lead_nowhere(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        data.open_dataset(str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no dataset"):
        data.open_dataset(str(tmp_path / "empty"))
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DataError, match="is a file"):
        data.open_dataset(str(tmp_path / "file"))


class NothingHere(http.server.BaseHTTPRequestHandler):
    """A hub without repositories."""

    def do_GET(self) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def empty_hub() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), NothingHere)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_dataset_the_hub_does_not_have(empty_hub: str, program: Any) -> None:
    code = "from model.data import open_dataset; open_dataset('nobody/nothing')"
    done = program("-c", code, env={"HF_ENDPOINT": empty_hub, "HF_HUB_OFFLINE": "0"})
    assert "There is no dataset nobody/nothing on the hub" in done.stderr


def test_streamed_batches_have_the_distribution_of_cached_ones(shapes: Path) -> None:
    """Every image once an epoch, in an order that tells nothing of the place, classes mixed."""
    source = data.open_dataset(str(shapes))
    every = source.load("train")
    cached = data.CachedBatches(every, 40, seed=0)
    streamed = data.StreamedBatches(source, torch.arange(240), 40, seed=0)
    assert streamed.steps == cached.steps == 6
    shares, seen = {}, {}
    for name, batches in (("cached", cached), ("streamed", streamed)):
        rows, mixed = [], []
        for epoch in range(10):
            for images, labels, indices in batches.epoch(epoch):
                assert torch.equal(images, every.images[indices])
                assert torch.equal(labels, every.labels[indices])
                mixed.append(labels.bincount(minlength=3).double())
                rows.append(indices)
        order = torch.cat(rows).view(10, 240)
        assert torch.equal(order.sort(1).values, torch.arange(240).expand(10, 240))
        ranks = torch.stack([torch.arange(240).expand(10, 240), order]).flatten(1).double()
        assert abs(torch.corrcoef(ranks)[0, 1]) < 0.1
        shares[name] = torch.stack(mixed)
        seen[name] = order
    # A batch of 40 from 3 x 80 without replacement: mean 40/3, hypergeometric deviation 2.72.
    for counts in shares.values():
        assert counts.mean(0).tolist() == pytest.approx([40 / 3] * 3, abs=1e-9)
        assert float(counts.std()) == pytest.approx(2.72, abs=0.6)
    assert not torch.equal(seen["streamed"][0], seen["streamed"][1])


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("buffer", [1, 13, 1000])
def test_streams_are_shared_by_processes(tmp_path: Path, world: int, buffer: int) -> None:
    """Two shards, any number of processes: every wanted image once, equal steps."""
    source = data.open_dataset(str(layout(tmp_path / "d")))
    wanted = torch.tensor([i for i in range(30) if i % 5])  # 24 of 30
    ranks = [
        data.StreamedBatches(
            source, wanted, 12, seed=0, rank=rank, world_size=world, buffer_size=buffer
        )
        for rank in range(world)
    ]
    rows = [torch.stack([i for _, _, i in batches.epoch(3)]) for batches in ranks]
    assert all(part.shape == (2, 12 // world) for part in rows)
    assert torch.equal(torch.cat([r.flatten() for r in rows]).sort().values, wanted)
    again = torch.stack([i for _, _, i in ranks[0].epoch(3)])
    assert torch.equal(again, rows[0])


def test_synthetic_is_balanced_and_the_same_every_time() -> None:
    first, second = (data.open_dataset("synthetic") for _ in range(2))
    assert first.labels("train").bincount().tolist() == [400] * 10
    assert first.labels("test").bincount().tolist() == [100] * 10
    assert first.fingerprint("train") == second.fingerprint("train")
    assert first.fingerprint("train") != first.fingerprint("test")
    assert first.load("test", torch.arange(3)).images.shape == (3, 3, 32, 32)


@pytest.mark.skipif(not REAL, reason="CIFARNET_TEST_DATA names no folder with CIFAR-10")
def test_real_cifar10() -> None:
    source = data.open_dataset(str(REAL))
    train = source.load("train")
    assert train.labels.bincount().tolist() == [5000] * 10
    mean, std = data.channel_statistics(train.images)
    # The values that every CIFAR-10 recipe quotes.
    assert mean == pytest.approx((0.4914, 0.4822, 0.4465), abs=5e-4)
    assert std == pytest.approx((0.2470, 0.2435, 0.2616), abs=5e-4)
    assert source.label_names[3] == "cat"
