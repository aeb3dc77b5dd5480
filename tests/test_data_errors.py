"""Datasets that cannot be found, reached or understood: each is one clear message."""

import http.server
import json
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from conftest import QUICK, Program
from datasets import ClassLabel, Value
from datasets import Image as ImageType
from hub_layout import encoded, layout, pixels, save

from model import data
from model.recipe import DataOptions, Recipe
from model.utils.errors import DataError


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


@pytest.mark.parametrize("kind", [ClassLabel(names=["a", "b"]), Value("int64")])
@pytest.mark.parametrize("label", [-1, None])
def test_labels_out_of_range_are_named(tmp_path: Path, label: int | None, kind: Any) -> None:
    columns = {"img": [encoded(x) for x in pixels(6)], "label": [0, 1, 0, label, 0, 1]}
    save(tmp_path / "d", "train", columns, {"img": ImageType(), "label": kind})
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
    with pytest.raises(DataError, match="names nothing"):
        data.open_dataset("")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no dataset"):
        data.open_dataset(str(tmp_path / "empty"))
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DataError, match="is a file"):
        data.open_dataset(str(tmp_path / "file"))


def test_an_unlabelled_test_split_does_not_keep_training_from_its_labels(tmp_path: Path) -> None:
    types = {"img": ImageType(), "label": ClassLabel(names=["a", "b"])}
    images = [encoded(x) for x in pixels(6)]
    save(tmp_path / "d", "train", {"img": images, "label": [0, 1] * 3}, types)
    save(tmp_path / "d", "test", {"img": images, "label": [-1] * 6}, types)
    source = data.open_dataset(str(tmp_path / "d"))
    assert source.splits["train"].labels.tolist() == [0, 1] * 3
    with pytest.raises(DataError, match="Row 0 of the test split of d has no valid label"):
        source.splits["test"].labels


def test_a_label_that_only_the_test_split_has(tmp_path: Path) -> None:
    types = {"img": ImageType(), "label": Value("string")}
    images = [encoded(x) for x in pixels(4)]
    save(tmp_path / "d", "train", {"img": images, "label": ["x", "y"] * 2}, types)
    save(tmp_path / "d", "test", {"img": images, "label": ["x", "y", "z", "x"]}, types)
    with pytest.raises(DataError, match="Row 2 of the test split"):
        data.open_dataset(str(tmp_path / "d")).labels("test")


def test_a_damaged_file_is_one_message(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "train.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataError, match="holds no dataset that can be read"):
        data.open_dataset(str(tmp_path))
    assert "".join(capfd.readouterr()) == caplog.text == ""


def test_files_that_vanish_or_change_while_they_are_read(tmp_path: Path) -> None:
    source = data.open_dataset(str(layout(tmp_path / "d")))
    source.splits["train"].labels
    shorter, first = layout(tmp_path / "e"), tmp_path / "d" / "train-00000-of-00002.parquet"
    rows = pq.read_table(shorter / first.name)
    pq.write_table(rows.slice(0, 9), first)
    with pytest.raises(DataError, match="changed while it was read"):
        source.splits["train"].load()
    first.unlink()
    with pytest.raises(DataError, match="a file is missing or damaged"):
        source.splits["train"].load()


def test_several_configurations_are_named(tmp_path: Path) -> None:
    for name in ("one", "two"):
        layout(tmp_path / name)
    configs = "".join(f"- config_name: {n}\n  data_files: {n}/*\n" for n in ("one", "two"))
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    with pytest.raises(DataError, match=r"several datasets \(one, two\)"):
        data.open_dataset(str(tmp_path))


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
def hubs() -> Iterator[dict[str, str]]:
    """Addresses: a hub that has nothing, one that refuses calls, one that never answers."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), NothingHere)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with socket.socket() as refusing, socket.socket() as mute:
        refusing.bind(("127.0.0.1", 0))  # bound, but nobody listens
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        ports = {
            "empty": server.server_port,
            "refusing": refusing.getsockname()[1],
            "mute": mute.getsockname()[1],
        }
        yield {kind: f"http://127.0.0.1:{port}" for kind, port in ports.items()}
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("hub", "offline", "message"),
    [
        ("empty", "0", "There is no dataset nobody/nothing on the hub"),
        ("refusing", "0", "The hub cannot be reached to read nobody/nothing"),
        ("mute", "0", "The hub cannot be reached to read nobody/nothing"),
        ("empty", "1", "Unset HF_HUB_OFFLINE"),
    ],
)
def test_a_hub_that_does_not_help(
    hubs: dict[str, str], program: Any, hub: str, offline: str, message: str
) -> None:
    """One line, with the remedy, at once: no retries that take longer and longer."""
    code = (
        "from model import data\n"
        "from model.utils import streams\n"
        "from model.utils import errors\n"
        "streams.HUB_TIMEOUT = 0.5\n"
        "with errors.exit_on_error(): data.open_dataset('nobody/nothing')\n"
    )
    done = program("-c", code, env={"HF_ENDPOINT": hubs[hub], "HF_HUB_OFFLINE": offline})
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert "--dataset path/to/folder" in done.stderr


def test_a_class_without_training_images_is_named(tmp_path: Path) -> None:
    types = {"img": ImageType(), "label": ClassLabel(names=["ant", "bee", "cat"])}
    for split in ("train", "test"):
        columns = {"img": [encoded(x) for x in pixels(6)], "label": [0, 2] * 3}
        save(tmp_path / "d", split, columns, types)
    options = DataOptions(str(tmp_path / "d"))
    with pytest.raises(DataError, match=r"no image to train on of 1 of its 3 classes \(bee\)"):
        data.load_training_data(options, Recipe(), cache_limit=1, device=torch.device("cpu"))


def damaged_shapes(shapes: Path, folder: Path, *names: str) -> Path:
    shutil.copytree(shapes, folder)
    for name in names:
        (folder / "train" / name).write_bytes(b"no picture")
    return folder


@pytest.mark.parametrize("limit", ["4", "0"])
def test_some_bad_images_may_be_left_out(
    limit: str, shapes: Path, program: Program, tmp_path: Path
) -> None:
    bad = damaged_shapes(shapes, tmp_path / "d", "ring/003.png", "ring/050.png", "cross/000.png")
    line = ["train.py", "--dataset", bad, *QUICK, "--cache-limit", limit, "--output"]
    stopped = program(*line, tmp_path / "a")
    assert stopped.returncode == 2
    assert "Image 0 of the train split" in stopped.stderr
    assert "--max-bad-images" in stopped.stderr
    few = program(*line, tmp_path / "b", "--max-bad-images", "2")
    assert few.returncode == 2
    assert "after 2 others" in few.stderr
    done = program(*line, tmp_path / "c", "--max-bad-images", "3")
    assert done.returncode == 0, done.stderr
    # Class folders come in the order of their names: cross 0 to 79, ring 80 to 159.
    assert "3 that cannot be decoded: 0, 83, 130" in done.stdout
    results = json.loads((tmp_path / "c" / "results.json").read_text())
    assert results["training"]["bad_images"] == [0, 83, 130]
