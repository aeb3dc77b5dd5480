"""Teaching the page three classes in a real browser: how long it takes, and what it then knows.

    pip install playwright
    python -m benchmarks.teach --dataset uoft-cs/cifar100

Gives the tab "Teach it" 40 pictures each of three classes that the default weights were never shown
in any way, presses Train, and as soon as it can shows it what the camera sees (Chromium's, a moving
pattern). Then downloads the model and asks it about 100 other pictures of each class. Needs
Chromium. Writes teach.json to benchmarks/results.
"""

import itertools
import statistics
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

from benchmarks._common import CIFAR100, averaged, browser, options, write
from benchmarks.finetune import lay_out
from model.data import open_dataset
from model.inference.classifier import Classifier
from model.utils.errors import exit_on_error

CLASSES = ("apple", "bicycle", "castle")
EACH = 40
ANSWERS = 20  # of the camera, after the first
PATIENCE = 600_000  # milliseconds


def main() -> None:
    """Measures, prints, writes."""
    args = options(__doc__, model=True, dataset=CIFAR100, rounds=(3, "visits"))
    with exit_on_error():
        dataset = open_dataset(args.dataset)
    rounds = []
    with browser(args.model, "--use-fake-device-for-media-stream") as (chromium, url):
        for seed in range(args.rounds):
            with tempfile.TemporaryDirectory() as name:
                lay_out(dataset, CLASSES, EACH, seed, Path(name) / "data")
                with chromium.new_context(permissions=["camera"]) as context:
                    rounds.append(lesson(context.new_page(), url, Path(name)))
            print(rounds[-1], flush=True)
    about = {"classes": CLASSES, "each": EACH, "rounds": rounds}
    write(args, "teach", about | averaged(rounds))


def lesson(page: Any, url: str, folder: Path) -> dict[str, float]:
    """One visit, from a zip of class folders to a downloaded model."""
    with zipfile.ZipFile(folder / "pictures.zip", "w") as archive:
        for path in sorted((folder / "data" / "train").glob("*/*.png")):
            archive.write(path, f"{path.parent.name}/{path.name}")
    test = sorted((folder / "data" / "test").glob("*/*.png"))
    page.set_default_timeout(PATIENCE)
    page.goto(url)
    page.get_by_role("tab", name="Teach it").click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Open a zip").click()
    chooser.value.set_files(folder / "pictures.zip")
    page.locator("#lesson .thumbs img").nth(len(CLASSES) * EACH - 1).wait_for()
    began = time.perf_counter()
    page.get_by_role("button", name="Train", exact=True).click()
    page.locator("#training-view").get_by_text("test pictures rightly").first.wait_for()
    trained = time.perf_counter()
    answered = list[float]()
    page.locator("#try").get_by_role("button", name="Camera").click()
    while len(answered) <= ANSWERS:
        with page.expect_response(lambda one: "/answer" in one.url):
            pass
        answered.append(time.perf_counter())
    page.locator("#try").get_by_role("button", name="Take the picture").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the model").click()
    download.value.save_as(folder / "model.zip")
    with zipfile.ZipFile(folder / "model.zip") as archive:
        archive.extractall(folder)
    (run,) = (path.parent for path in folder.glob("*/config.json"))
    answers = Classifier.from_pretrained(run)(test)
    right = [one.label == path.parent.name for one, path in zip(answers, test, strict=True)]
    return {
        "seconds": trained - began,  # from Train until it can be tried
        "answer_seconds": statistics.median(b - a for a, b in itertools.pairwise(answered)),
        "accuracy": statistics.fmean(right),
    }


if __name__ == "__main__":
    main()
