"""Programs that know nothing of us but `import model`: timm, transformers, onnxruntime."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from hub_fixtures import ROOT
from PIL import Image
from timm.data import create_transform, resolve_model_data_config

from model import Classifier, from_pretrained
from model.hub import __main__ as program
from model.hub import export
from model.utils.errors import ConfigError

SHIP = ROOT / "examples" / "ship.png"


@pytest.fixture
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of the network's own size, which nobody needs to scale."""
    path = tmp_path_factory.mktemp("small") / "ship.png"
    Image.open(SHIP).convert("RGB").resize((32, 32), Image.Resampling.BOX).save(path)
    return path


@pytest.fixture
def ship(small: Path) -> torch.Tensor:
    """The picture as the network wants it, float32 (1, 3, 32, 32); made without our code."""
    card = json.loads((ROOT / "config.json").read_text())["pretrained_cfg"]
    pixels = np.asarray(Image.open(small), dtype=np.float32) / 255  # (32, 32, 3)
    normal = (pixels - np.float32(card["mean"])) / np.float32(card["std"])
    return torch.from_numpy(normal.transpose(2, 0, 1)[None].copy())


def test_timms_preprocessing_is_ours(small: Path, ship: torch.Tensor) -> None:
    network = timm.create_model(f"local-dir:{ROOT}", pretrained=True).eval()
    view: Any = create_transform(**resolve_model_data_config(network), is_training=False)
    pixels = view(Image.open(small))[None]  # (1, 3, 32, 32)
    assert torch.allclose(pixels, ship, atol=1e-5)
    names: Any = network.pretrained_cfg["label_names"]  # type: ignore[index]
    assert names[network(pixels).argmax()] == "ship"


def test_features_only_takes_our_weights(ship: torch.Tensor) -> None:
    options: Any = dict(pretrained=True, features_only=True)
    extractor: Any = timm.create_model(f"local-dir:{ROOT}", **options).eval()
    with torch.no_grad():
        expected: Any = from_pretrained(ROOT).forward_features(ship)  # type: ignore[operator]
        assert torch.allclose(extractor(ship)[-1], expected, atol=1e-5)


def test_transformers_pipeline(small: Path, ship: torch.Tensor) -> None:
    transformers = pytest.importorskip("transformers")
    classify = transformers.pipeline("image-classification", str(ROOT), device="cpu")
    found = {row["label"]: row["score"] for row in classify(str(small), top_k=10)}
    with torch.inference_mode():
        expected = from_pretrained(ROOT)(ship).softmax(dim=1)[0]
    names = json.loads((ROOT / "config.json").read_text())["label_names"]
    assert len(found) == 10
    assert [found[name] for name in names] == pytest.approx(expected.tolist(), abs=1e-4)


@pytest.mark.usefixtures("in_float32")
def test_onnx(tmp_path: Path, small: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    assert program.main(["export-onnx", str(ROOT), str(tmp_path / "model.onnx")]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    session = runtime.InferenceSession(str(tmp_path / "model.onnx"))
    told = {k: json.loads(v) for k, v in session.get_modelmeta().custom_metadata_map.items()}
    settings = json.loads((ROOT / "config.json").read_text())
    assert told["label_names"] == settings["label_names"]
    inside = {name: settings["pretrained_cfg"][name] for name in ("mean", "std")}
    assert told["normalized_inside"] == inside
    assert told["input_range"] == [0, 1]
    assert not {"mean", "std"} & told.keys()  # who found them would normalise twice
    assert "from 0 to 1" in session.get_modelmeta().description
    assert told["input_size"] == [3, 32, 32]
    assert told["temperature"] == settings["cifarnet"]["doubt"]["temperature"]
    network = from_pretrained(ROOT)
    mean, std = (torch.tensor(one).view(3, 1, 1) for one in inside.values())  # (3, 1, 1)
    for count in (1, 7):
        pixels = torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(count))
        logits = session.run(["logits"], {"pixel_values": pixels.numpy()})[0]
        with torch.inference_mode():
            expected = network((pixels - mean) / std)  # (count, 10)
        assert logits.shape == (count, 10)
        assert np.abs(logits - expected.numpy()).max() < 1e-4
    # Calibrated as the metadata says, it answers as the classifier does.
    shown = np.asarray(Image.open(small), dtype=np.float32) / 255  # (32, 32, 3)
    both = np.stack([shown, shown[:, ::-1]]).transpose(0, 3, 1, 2)  # (2, 3, 32, 32)
    logits = session.run(None, {"pixel_values": np.ascontiguousarray(both)})[0].mean(0)
    scaled = np.exp(logits / told["temperature"] - (logits / told["temperature"]).max())
    answer = Classifier.from_pretrained(ROOT)(small)
    assert answer.probability == pytest.approx(float((scaled / scaled.sum()).max()), abs=1e-4)


def test_onnx_without_its_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "NEEDED", ("onnx_that_is_not_there",))
    with pytest.raises(ConfigError, match="pip install onnx_that_is_not_there"):
        export.export_onnx(ROOT, tmp_path / "model.onnx")
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="name a file in a folder that exists"):
        export.export_onnx(ROOT, tmp_path / "none" / "model.onnx")
