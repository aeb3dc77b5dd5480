"""The notebook is a lesson that runs: here in a hurry, on generated pictures, with no hub."""

import base64
import io
import json
import os
import re
from typing import Any

import nbformat
import numpy as np
import pytest
from conftest import ROOT
from nbclient import NotebookClient
from PIL import Image

PATH = ROOT / "notebooks" / "first_network.ipynb"
# Run at the end, in the notebook's own kernel.
TELL = """
import json
print(json.dumps(dict(
    dataset=data.dataset.name, baseline=baseline, results=results, test_accuracy=test_accuracy,
    hidden=list(hidden.values()), right=right, verdicts=verdicts,
)))
"""


def test_its_links_lead_to_its_headings_and_no_output_is_kept() -> None:
    """Outputs would hold pictures that are not ours to share."""
    notebook = nbformat.read(PATH, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert "attachments" not in cell
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    headings = {title.replace(" ", "-") for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#(.+)\)", text)) <= headings


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The notebook after all its cells."""
    notebook = nbformat.read(PATH, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(TELL))
    env = {**os.environ, "CIFARNET_NOTEBOOK_QUICK": "1", "HF_HUB_OFFLINE": "1"}
    env["HF_HOME"] = str(tmp_path_factory.mktemp("home"))  # no dataset was downloaded there
    env.pop("CIFARNET_NOTEBOOK_DATASET", None)
    place = {"metadata": {"path": str(PATH.parent)}}
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", resources=place)
    client.execute(env=env)  # raises with the cell and its traceback where one fails
    return notebook


@pytest.mark.slow
def test_what_it_says_of_its_networks_holds(ran: Any) -> None:
    told = json.loads(ran.cells[-1].outputs[0].text)
    assert told["dataset"] == "synthetic"
    results = told["results"]
    small, by_heart, mended = (
        results[name] for name in ("too small", "learned by heart", "+ more pictures")
    )
    assert abs(small[0] - small[1]) < 0.15  # underfits: bad on both, but it did learn something
    assert small[1] > 0.1
    assert by_heart[0] > by_heart[1] + 0.2  # overfits
    assert results["+ augmentation"][1] > by_heart[1]
    assert mended[1] > max(0.7, small[1], by_heart[1], told["baseline"])
    assert told["test_accuracy"] > 0.7
    nothing, elsewhere, here = told["hidden"]
    assert here < elsewhere < nothing
    assert told["right"][0] > told["right"][-1]
    known = told["verdicts"].pop("test pictures")
    assert known["none"] < max(kind["none"] for kind in told["verdicts"].values())


@pytest.mark.slow
def test_every_figure_shows_something(ran: Any) -> None:
    outputs = [output for cell in ran.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    pictures = [o.data["image/png"] for o in outputs if "image/png" in o.get("data", {})]
    assert len(pictures) >= 20
    for picture in pictures:
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))).convert("L"))
        assert pixels.std() > 5
