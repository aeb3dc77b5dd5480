"""What a model card tells of the use of a model: how to load it, what to cite."""

from typing import Any

from huggingface_hub import ModelCard

from .card_data import bare_front_matter, hub_id

PLACE = """\
This folder is a model in the Hugging Face hub's layout. Put its path, or its id on the hub, in the
place of `MODEL`, and run this inside a checkout of the cifarnet code:"""
LOADING = """\
{place}

```python
from model import Classifier, from_pretrained

classify = Classifier.from_pretrained("{model}")
print(classify("photo.jpg").top(3))

# A torch module: normalised (N, 3, {size}, {size}) -> logits.
network = from_pretrained("{model}")
```

```sh
python -m model photo.jpg --model {model}
python -m model.evaluation {model} --dataset {dataset}
```

timm loads it as well, once `import model` has registered the architecture, and so does transformers
(`pip install transformers`):

```python
import model, timm

network = timm.create_model("{timm}", pretrained=True){other}
```

```python
import model, transformers

classify = transformers.pipeline("image-classification", "{model}")
```

These two give plain logits and probabilities; calibration, doubt and maps are `Classifier`'s."""
CITATION = """\
```bibtex
@misc{{cifarnet,
  title        = {{cifarnet: a small, honest image classifier}},
  author       = {{The cifarnet authors}},
  year         = {{{year}}},
  howpublished = {{{where}}}
}}
```"""
CIFAR10 = """

CIFAR-10 is by Krizhevsky, *Learning multiple layers of features from tiny images* (2009)."""


def loading(results: dict[str, Any] | None, size: int, repo_id: str | None = None) -> str:
    """How to load a model, in Markdown.

    Args:
        results: Content of results.json, which names the dataset.
        size: Of its images, in pixels.
        repo_id: Where it is on the hub; None leaves the place open.
    """
    known = results and hub_id(results)
    generated = results and results["dataset"]["name"] == "synthetic"
    return LOADING.format(
        place="Run this inside a checkout of the cifarnet code:" if repo_id else PLACE,
        model=repo_id or "MODEL",
        timm=f"hf-hub:{repo_id}" if repo_id else "local-dir:MODEL",
        other="" if repo_id else '  # or "hf-hub:MODEL"',
        size=size,
        dataset=known or ("synthetic" if generated else "DATASET_FOLDER"),
    )


def citation(results: dict[str, Any], repo_id: str | None = None) -> str:
    """What to cite, in Markdown."""
    where = f"Model {repo_id} on the Hugging Face hub" if repo_id else "Source code and weights"
    year = (results["training"].get("date") or "2026")[:4]
    of_data = CIFAR10 if "cifar10" in results["dataset"]["name"].lower() else ""
    return CITATION.format(year=year, where=where) + of_data


def bare_card(config: dict[str, Any], repo_id: str) -> str:
    """The card of a model that nothing was measured of.

    Args:
        config: Content of config.json.
        repo_id: Where it is on the hub.
    """
    how = loading(None, config["pretrained_cfg"]["input_size"][-1], repo_id)
    return str(
        ModelCard(
            f"---\n{bare_front_matter().to_yaml()}\n---\n\n# {config['architecture']}\n\n"
            "No results.json came with these weights: nothing is claimed of them.\n\n"
            f"## How to load it\n\n{how}\n"
        )
    )
