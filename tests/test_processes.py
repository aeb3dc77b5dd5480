"""Training by two CPU processes: the same global batches, one set of files."""

import json
import os
import subprocess
import sys
from pathlib import Path

from conftest import QUICK, ROOT

# So that the first layer freezes on the way, and gradients are exchanged once a batch only.
MORE = ["--stem-bias-epochs", "1", "--accumulation", "2"]


def test_two_processes_train_like_one(shapes: Path, trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    launch += ["--master_port", "0", "--rdzv_backend", "c10d", "--rdzv_endpoint", "127.0.0.1:0"]
    done = subprocess.run(
        [*launch, "train.py", "--dataset", str(shapes), "--output", str(run), *QUICK, *MORE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Saved in") == 1
    assert done.stdout.count("epoch 1/3") == 1
    one, two = (json.loads((d / "results.json").read_text()) for d in (trained, run))
    assert two["training"]["processes"] == 2
    assert two["dataset"] == one["dataset"]
    assert two["test"]["plain"]["count"] == 60
    assert two["test"]["plain"]["accuracy"] > 0.45
    for a, b in zip(one["training"]["epochs"], two["training"]["epochs"], strict=True):
        # Norms see half of each batch, augmentation draws anew: alike, not equal.
        assert abs(a["train_loss"] - b["train_loss"]) < 0.25 * a["train_loss"]
