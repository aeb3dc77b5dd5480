"""Folders of datasets as people have them: what is read, as which class, and what is told."""

import json
import os
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import POSIX
from datasets import ClassLabel, Dataset, Features
from datasets import Image as ImageType
from hub_layout import encoded, loaded, pixels
from PIL import Image

from model.data import describe, open_dataset
from model.recipe import Recipe
from model.utils.errors import DataError


def put(folder: Path, *names: str) -> str:
    """Writes small pictures, or empty files where the name is no picture's."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() in (".png", ".jpg", ".avif"):
            Image.fromarray(np.full((32, 32, 3), len(name), np.uint8)).save(path)
        else:
            path.touch()
    return str(folder)


def numbered(pattern: str, count: int) -> list[str]:
    return [pattern.format(i) for i in range(count)]


def found(folder: str, **options: Any) -> tuple[tuple[str, ...], dict[str, list[int]]]:
    """Class names, and how many pictures of each class every split has."""
    dataset = open_dataset(folder, test_fraction=0, **options)
    names = dataset.label_names
    counts = {
        kind: split.load().labels.bincount(minlength=len(names)).tolist()
        for kind, split in dataset.splits.items()
    }
    return names, counts


CATS, DOGS = numbered("cat/{}.png", 3), numbered("dog/{}.png", 2)
KEPT = {"train": [3, 2]}
BOTH = ("cat", "dog")


@pytest.mark.parametrize(
    ("files", "names", "counts"),
    [
        ([*CATS, *DOGS], BOTH, KEPT),
        # Words that tell splits, where no split can be meant.
        (["cat/test_1.png", "cat/2.png", "cat/dev.png", *DOGS], BOTH, KEPT),
        (
            ["bullet train/1.png", "bus/1.png", "train station/1.png"],
            ("bullet train", "bus", "train station"),
            {"train": [1, 1, 1]},
        ),
        (["train/1.png", "bus/1.png", "car/1.png"], ("bus", "car", "train"), {"train": [1, 1, 1]}),
        # The first folder below is the class.
        (["cat/2023/1.png", "cat/2024/a/1.png", "cat/1.png", *DOGS], BOTH, KEPT),
        (["cat/train/1.png", "cat/test/1.png", "dog/train/1.png"], BOTH, {"train": [2, 1]}),
        # Splits by exact names, in any case.
        (
            [f"{split}/{name}" for split in ("Train", "TEST") for name in CATS + DOGS],
            BOTH,
            {"train": [3, 2], "test": [3, 2]},
        ),
        (
            [f"training/{name}" for name in CATS + DOGS]
            + ["dev/cat/1.png", "eval/dog/1.png", "eval/dog/2.jpg"],
            BOTH,
            {"train": [3, 2], "validation": [1, 0], "test": [0, 2]},
        ),
        # Any case of a file type; what Pillow reads.
        (["cat/1.PNG", "cat/2.JPG", "cat/3.avif", *DOGS], BOTH, KEPT),
    ],
)
def test_class_folders_mean_what_they_say(
    tmp_path: Path, files: list[str], names: tuple[str, ...], counts: dict[str, list[int]]
) -> None:
    special = "d [1] {x} *" if POSIX else "d [1] {x}"
    assert found(put(tmp_path / special, *files)) == (names, counts)


@pytest.mark.skipif(not POSIX, reason="links need rights elsewhere")
def test_what_is_not_used_is_told(tmp_path: Path) -> None:
    folder = put(tmp_path, *CATS, *DOGS, ".DS_Store", "cat/._0.png", "__MACOSX/cat/0.png")
    assert describe(open_dataset(folder, test_fraction=0)) == [
        "2 classes: cat, dog (2 images of dog to 3 of cat)"
    ]
    put(tmp_path, ".NET/1.png")
    put(tmp_path, *numbered("dog/{}.CR2", 20), "cover.png", "cat/0.png.json", "cat/notes.txt")
    (tmp_path / "cat" / "gone.png").symlink_to(tmp_path / "nowhere")
    told = "\n".join(describe(open_dataset(folder, test_fraction=0))[1:])
    assert "dog/0.CR2, dog/1.CR2, dog/10.CR2, ... (20 in all)" in told
    for name in ("cover.png", "cat/0.png.json", "cat/notes.txt", "cat/gone.png", ".NET/1.png"):
        assert f": {name} (1 in all)" in told
    put(tmp_path, *(f"{split}/{name}" for split in ("train", "test") for name in CATS + DOGS))
    told = "\n".join(describe(open_dataset(folder)))
    assert "beside the split folders test, train: cat/0.png, cat/1.png, cat/2.png, ... (6" in told


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_not_utf_8_are_told(tmp_path: Path) -> None:
    folder = put(tmp_path, *CATS, *DOGS)
    os.rename(tmp_path / "cat" / "0.png", os.fsencode(tmp_path / "cat") + b"/caf\xe9.png")
    dataset = open_dataset(folder, test_fraction=0)
    assert dataset.labels("train").bincount().tolist() == [2, 2]
    assert any("UTF-8" in sentence for sentence in dataset.notes)


@pytest.mark.skipif(not POSIX, reason="links need rights elsewhere")
def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    put(tmp_path / "pool", *CATS, *DOGS)
    (tmp_path / "d").mkdir()
    for name in BOTH:
        (tmp_path / "d" / name).symlink_to(tmp_path / "pool" / name)
    (tmp_path / "pool" / "cat" / "again").symlink_to(tmp_path / "pool" / "cat")
    assert found(str(tmp_path / "d")) == (BOTH, KEPT)


@pytest.mark.parametrize(
    "head", ["title: pets: part 2\nlicense: [oops", "title: my pets", "- a list"]
)
def test_a_readme_is_no_obstacle(tmp_path: Path, head: str) -> None:
    folder = put(tmp_path, *CATS, *DOGS)
    (tmp_path / "README.md").write_text(f"---\n{head}\n---\nMy photos.\n")
    assert found(folder) == (BOTH, KEPT)


def test_zips_of_class_folders(tmp_path: Path) -> None:
    put(tmp_path / "t", *CATS, *DOGS)
    (tmp_path / "d").mkdir()
    for archive, above in (("train", ""), ("test", "test/")):
        with zipfile.ZipFile(tmp_path / "d" / f"{archive}.zip", "w") as opened:
            for name in CATS + DOGS:
                opened.write(tmp_path / "t" / name, above + name)
    assert found(str(tmp_path / "d")) == (BOTH, {"train": [3, 2], "test": [3, 2]})
    (tmp_path / "each").mkdir()
    for label, names in (("cat", CATS), ("dog", DOGS)):
        with zipfile.ZipFile(tmp_path / "each" / f"{label}.zip", "w") as opened:
            for name in names:
                opened.write(tmp_path / "t" / name, name)
    assert found(str(tmp_path / "each")) == (BOTH, KEPT)
    whole = (tmp_path / "d" / "test.zip").read_bytes()
    at = whole.index(b"IDAT") + 6
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "d.zip").write_bytes(whole[:at] + b"XX" + whole[at + 2 :])
    with pytest.raises(DataError, match=r"Image 0 of the train .*cat/0\.png"):
        open_dataset(str(tmp_path / "bad"), test_fraction=0).splits["train"].load()
    (tmp_path / "d" / "test.zip").write_bytes(b"PK nothing")
    with pytest.raises(DataError, match=r"test\.zip"):
        open_dataset(str(tmp_path / "d"))


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "json"])
def test_tables_name_pictures_by_their_paths(tmp_path: Path, kind: str) -> None:
    folder = put(tmp_path, *numbered("images/{}.png", 4))
    rows = [{"file": f"images/{i}.png", "label": ("NA", "null")[i % 2]} for i in range(4)]
    table = tmp_path / f"labels.{kind}"
    if kind in ("csv", "tsv"):
        mark = "," if kind == "csv" else "\t"
        lines = [["file", "label"], *([*row.values()] for row in rows)]
        table.write_text("\n".join(map(mark.join, lines)))
    else:
        table.write_text(json.dumps(rows) if kind == "json" else "\n".join(map(json.dumps, rows)))
    assert found(folder) == (("NA", "null"), {"train": [2, 2]})
    assert open_dataset(folder, test_fraction=0).notes == []


def test_names_of_tables_tell_splits(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "b.png")
    for name, count in (("pets_train", 3), ("pets-TEST-00000-of-00001", 2), ("notes", 1)):
        (tmp_path / f"{name}.csv").write_text("file,label\n" + "a.png,cat\nb.png,dog\n" * count)
    assert found(str(tmp_path)) == (BOTH, {"train": [3, 3], "test": [2, 2]})
    assert "notes.csv" in open_dataset(str(tmp_path)).notes[0]


def test_a_table_beside_the_pictures_of_each_split(tmp_path: Path) -> None:
    """As `datasets` lays out folders of images: train/ and test/ are no classes."""
    for split, count in (("train", 3), ("test", 1)):
        put(tmp_path / split, "a.png", "b.png")
        rows = "a.png,cat\nb.png,dog\n" * count
        (tmp_path / split / "metadata.csv").write_text(f"file_name,label\n{rows}")
    assert found(str(tmp_path)) == (BOTH, {"train": [3, 3], "test": [1, 1]})
    (tmp_path / "train" / "metadata.csv").unlink()
    (tmp_path / "test" / "metadata.csv").unlink()
    with pytest.raises(DataError, match="label"):
        open_dataset(str(tmp_path))


def test_a_table_of_labels_goes_before_folders_and_other_tables(tmp_path: Path) -> None:
    put(tmp_path, "images/a.png", "images/b.png", "masks/a.png", "masks/b.png")
    (tmp_path / "labels.csv").write_text("file,label\nimages/a.png,cat\nimages/b.png,dog\n")
    (tmp_path / "classes.json").write_text('{"cat": 0, "dog": 1}')
    (tmp_path / "class_names.csv").write_text("name\ncat\ndog\n")
    assert found(str(tmp_path)) == (BOTH, {"train": [1, 1]})
    told = open_dataset(str(tmp_path), test_fraction=0).notes
    for name in ("masks/a.png", "classes.json", "class_names.csv"):
        assert any(name in sentence for sentence in told)


def test_a_saved_dataset_is_read_without_its_caches(tmp_path: Path) -> None:
    rows = {"image": [encoded(x) for x in pixels(4)], "label": [0, 1, 0, 1]}
    kinds = Features({"image": ImageType(), "label": ClassLabel(names=["cat", "dog"])})
    Dataset.from_dict(rows, features=kinds).save_to_disk(str(tmp_path / "d"))
    (stored,) = (tmp_path / "d").glob("*.arrow")
    shutil.copy(stored, tmp_path / "d" / "cache-0123.arrow")
    assert found(str(tmp_path / "d")) == (BOTH, {"train": [2, 2]})


def test_one_picture_a_class_leaves_none_to_test_on(tmp_path: Path) -> None:
    folder = put(tmp_path, "cat/1.png", "dog/1.png")
    with pytest.raises(DataError, match="one image"):
        open_dataset(folder)
    assert describe(open_dataset(folder, test_fraction=0)) == ["2 classes: cat, dog (1 of each)"]
    folder = put(tmp_path, "cat/2.png", "cat/3.png")  # of the class with one, it stays in train
    assert open_dataset(folder).labels("train").bincount().tolist() == [2, 1]


def test_one_class_folder_is_not_enough(tmp_path: Path) -> None:
    folder = put(tmp_path, *(f"pets/{name}" for name in CATS + DOGS))
    with pytest.raises(DataError, match=f"--dataset {folder}/pets"):
        open_dataset(folder)


def test_a_class_that_only_the_test_split_has_is_named(tmp_path: Path) -> None:
    trained = [f"train/{name}" for name in CATS + DOGS]
    with pytest.raises(DataError, match="'Cat'"):
        open_dataset(put(tmp_path, *trained, "test/Cat/1.png"))


def test_the_datasets_own_validation_split_is_used(tmp_path: Path) -> None:
    files = [f"{split}/{name}" for split in ("train", "val", "test") for name in CATS + DOGS]
    data = loaded(put(tmp_path, *files), Recipe(val_size=2))
    assert data.sizes == {"train": 5, "validation": 5}
    assert data.validation is not None
    assert data.validation.labels.tolist() == [0, 0, 0, 1, 1]
