"""What the fuzzer runs: bytes as a picture, as a config card, as weights. See benchmarks/fuzz.py.

Only our named errors may come out. The libraries are imported here so that the fuzzer sees which
of their branches, and of ours, an input reaches.
"""

import contextlib
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["model", "PIL"], enable_loader_override=False):
    import timm
    from PIL import Image

    from model import hub
    from model.inference.classifier import Classifier
    from model.utils.errors import CifarnetError

NAMES = ["ant", "bee", "cat"]


def small_model(folder: Path) -> Path:
    """A network that answers in a millisecond, saved as a run is."""
    network = timm.create_model("cifarnet_nano", num_classes=3, widths=(8, 8, 8))
    return hub.save_pretrained(network, folder, label_names=NAMES)


def pictures(folder: Path, corpus: Path) -> Callable[[bytes], None]:
    """Bytes of any kind as a picture; good ones of many kinds to start from."""
    classify = Classifier.from_pretrained(small_model(folder))
    image = Image.radial_gradient("L").resize((24, 20))
    for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF"):
        for mode in ("RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I;16"):
            with contextlib.suppress(OSError, ValueError, KeyError):  # not every format has all
                image.convert(mode).save(corpus / f"{kind}-{mode}".replace(";", ""), kind)

    def one(data: bytes) -> None:
        with contextlib.suppress(CifarnetError):
            found = classify(data)
            assert found.label in NAMES
            assert abs(sum(found.probabilities.values()) - 1) < 1e-3

    return one


def models(folder: Path, corpus: Path) -> Callable[[bytes], None]:
    """Bytes as config.json or, after a zero byte, as model.safetensors, beside a good other one."""
    good = small_model(folder)
    kept = {name: (good / name).read_bytes() for name in ("config.json", "model.safetensors")}
    (corpus / "config").write_text(json.dumps(json.loads(kept["config.json"])))
    (corpus / "weights").write_bytes(b"\0" + kept["model.safetensors"])

    def one(data: bytes) -> None:
        name = "model.safetensors" if data[:1] == b"\0" else "config.json"
        (good / name).write_bytes(data.removeprefix(b"\0"))
        with contextlib.suppress(CifarnetError):
            hub.from_pretrained(good)
        (good / name).write_bytes(kept[name])

    return one


TARGETS = {"pictures": pictures, "models": models}


if __name__ == "__main__":  # python -m benchmarks.fuzz_target TARGET CORPUS [options of libFuzzer]
    name, target, corpus, *more = sys.argv
    with tempfile.TemporaryDirectory() as folder:
        atheris.Setup([name, *more, corpus], TARGETS[target](Path(folder), Path(corpus)))
        atheris.Fuzz()
