"""Sending a model to a hub: weights, config card, results, figures and model card together."""

import os
import shlex
import tempfile
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.utils import validate_repo_id
from torch import nn

from model import card, card_use, config, files, hub, snapshot
from model.errors import ConfigError, HubError
from model.hub.sending import Pushed, send
from model.hub_errors import need_token, patiently, sending

MESSAGE = "Send a model trained with cifarnet"


def push_to_hub(
    model: str | os.PathLike[str] | nn.Module,
    repo_id: str,
    *,
    private: bool = False,
    revision: str | None = None,
    message: str | None = None,
    dry_run: bool = False,
) -> Pushed:
    """Sends weights, config card, results, figures and model card in one commit.

    The repository is made if need be. What it holds already is not sent again, and makes no commit;
    results and figures of an earlier model go. Needs a token that may write, from `hf auth login`
    or HF_TOKEN; HF_ENDPOINT names another hub.

    Args:
        model: Folder of a trained model, or a network built by timm.
        repo_id: "owner/name" on the hub.
        private: Whether a repository that is made is private.
        revision: Tag for the commit, such as "v1".
        message: Of the commit.
        dry_run: Only say what would be sent.

    Raises:
        ConfigError: If the folder holds no trained model.
        WeightsError: If its weights are damaged.
        HubError: If the hub refuses, or cannot be reached.
    """
    if isinstance(model, nn.Module):
        with tempfile.TemporaryDirectory() as folder:
            hub.save_pretrained(model, folder)
            content = contents(folder, repo_id)
    else:
        content = contents(model, repo_id)
    pushed = send(
        content,
        repo_id,
        private=private,
        tag=revision,
        message=message or MESSAGE,
        dry_run=dry_run,
        stale=_belonged_to_a_model,
    )
    if pushed.commit is not None:
        snapshot.forget_branch(repo_id)
    return pushed


def push_run(directory: Path, repo_id: str) -> Pushed:
    """Sends a finished run, and says how to do so later where that fails.

    Raises:
        HubError: If the hub refuses, or cannot be reached.
    """
    try:
        return push_to_hub(directory, repo_id)
    except HubError as error:
        later = f"python -m model.hub push {shlex.quote(str(directory))} {repo_id}"
        raise HubError(
            f"{error}\nThe model is safe in {directory}; send it by\n  {later}"
        ) from None


def check(repo_id: str) -> None:
    """Asks the hub who is sending, before much time is spent on what is to be sent.

    Raises:
        HubError: If the id is none, there is no token, or the hub does not know it.
    """
    with sending(repo_id):
        validate_repo_id(repo_id)
        need_token()
        patiently(lambda: HfApi(library_name="cifarnet").whoami())


def contents(folder: str | os.PathLike[str], repo_id: str) -> dict[str, bytes]:
    """What a model consists of, by path in the repository, after checking that it loads.

    Args:
        folder: Of a trained model.
        repo_id: Which the model card names.

    Raises:
        ConfigError: If the folder holds no trained model.
        WeightsError: If its weights are damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ConfigError(f"There is no folder {str(folder)!r}; name that of a trained model.")
    _, settings = hub.load(folder)
    found = {name: (folder / name).read_bytes() for name in (config.NAME, snapshot.WEIGHTS_NAME)}
    figures = hub.public_figures(folder)
    found |= {f"figures/{path.name}": path.read_bytes() for path in figures}
    results = folder / hub.RESULTS_NAME
    if results.is_file():
        found[hub.RESULTS_NAME] = results.read_bytes()
        names = [path.name for path in figures]
        text = card.model_card(files.read_json(results), settings, figures=names, repo_id=repo_id)
    else:
        text = card_use.bare_card(settings, repo_id)
    found[hub.CARD_NAME] = text.encode()
    return found


def _belonged_to_a_model(path: str) -> bool:
    return path == hub.RESULTS_NAME or (path.startswith("figures/") and path.endswith(".png"))
