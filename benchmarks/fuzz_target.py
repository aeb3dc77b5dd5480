"""What the fuzzer runs: bytes as a picture, as a config card, as weights. See benchmarks/fuzz.py.

Only our named errors may come out. The libraries are imported here so that the fuzzer sees which
of their branches, and of ours, an input reaches.
"""

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
    from model.utils import files
    from model.utils.errors import CifarnetError

NAMES = ["ant", "bee", "cat"]


def small_model(folder: Path) -> Path:
    """A network that answers in a millisecond, saved as a run is."""
    network = timm.create_model("cifarnet_nano", num_classes=3, widths=(8, 8, 8))
    return hub.save_pretrained(network, folder, label_names=NAMES)


def pictures(folder: Path) -> Callable[[bytes], None]:
    """Bytes of any kind as a picture."""
    classify = Classifier.from_pretrained(small_model(folder))

    def one(data: bytes) -> None:
        try:
            found = classify(data)
        except CifarnetError:
            return
        assert found.label in NAMES
        assert abs(sum(found.probabilities.values()) - 1) < 1e-3

    return one


def models(folder: Path) -> Callable[[bytes], None]:
    """Bytes as config.json or, after a zero byte, as model.safetensors, beside a good other one."""
    good = small_model(folder)
    kept = {name: (good / name).read_bytes() for name in ("config.json", "model.safetensors")}

    def one(data: bytes) -> None:
        name = "model.safetensors" if data[:1] == b"\0" else "config.json"
        (good / name).write_bytes(data[1:] if data[:1] == b"\0" else data)
        try:
            hub.from_pretrained(good)
        except CifarnetError:
            pass
        finally:
            (good / name).write_bytes(kept[name])

    return one


TARGETS = {"pictures": pictures, "models": models}


def seeds(target: str, folder: Path) -> None:
    """Good inputs to start from."""
    if target == "pictures":
        image = Image.radial_gradient("L").resize((24, 20))
        for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF"):
            for mode in ("RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I;16"):
                try:
                    image.convert(mode).save(folder / f"{kind}-{mode}".replace(";", ""), kind)
                except (OSError, ValueError, KeyError):
                    continue  # not every format has every mode
        return
    with tempfile.TemporaryDirectory() as other:
        good = small_model(Path(other))
        content = files.read_json(good / "config.json")
        (folder / "config").write_text(json.dumps(content))
        (folder / "weights").write_bytes(b"\0" + (good / "model.safetensors").read_bytes())


def main() -> None:
    """`python -m benchmarks.fuzz_target TARGET CORPUS [options of libFuzzer]`."""
    target, corpus = sys.argv[1], Path(sys.argv[2])
    seeds(target, corpus)
    with tempfile.TemporaryDirectory() as folder:
        run = TARGETS[target](Path(folder))
        atheris.Setup([sys.argv[0], *sys.argv[3:], str(corpus)], run)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
