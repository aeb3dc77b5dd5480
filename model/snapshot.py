"""Where a model's two files lie: in a local folder, or on the hub, from where they are fetched."""

import os
import re
from pathlib import Path

from huggingface_hub import hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from model import config, files
from model.errors import ConfigError, HubError, WeightsError

WEIGHTS_NAME = "model.safetensors"
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
HASH = re.compile(r"[0-9a-f]{64}")
COMMIT = re.compile(r"[0-9a-f]{40}")
HTTP_UNAUTHORIZED, HTTP_FORBIDDEN = 401, 403


def find_config(
    model: str | os.PathLike[str], revision: str | None = None, *, refresh: bool = False
) -> Path:
    """Path of a model's config.json, downloaded if need be.

    What is in the download cache is taken from there without asking the hub.

    Args:
        model: Folder, or hub id "owner/name"; a folder of that name goes first.
        revision: Branch, tag or commit on the hub; None is its main branch.
        refresh: Ask the hub whether a branch or tag has moved since it was downloaded.

    Raises:
        ConfigError: If there is no such folder, or nothing in it.
        HubError: If the hub has no such model or cannot be reached.
    """
    if folder := _local(model, revision):
        return _existing(folder, config.NAME)
    return _download(str(model), config.NAME, revision, refresh)


def find_files(
    model: str | os.PathLike[str], revision: str | None = None, *, refresh: bool = False
) -> tuple[Path, Path]:
    """Paths of a model's config.json and model.safetensors, both of one commit.

    Args:
        model: See `find_config`.
        revision: See `find_config`.
        refresh: See `find_config`.

    Raises:
        ConfigError: If there is no such folder, or one of the files is missing.
        HubError: If the hub has no such model or cannot be reached.
    """
    if folder := _local(model, revision):
        return _existing(folder, config.NAME), _existing(folder, WEIGHTS_NAME)
    card = _download(str(model), config.NAME, revision, refresh)
    # The branch may move between two downloads; the folder of the first one names its commit.
    if COMMIT.fullmatch(card.parent.name):
        revision = card.parent.name
    return card, _download(str(model), WEIGHTS_NAME, revision)


def default_model(root: Path) -> Path:
    """The folder of the weights that come with the code.

    Raises:
        ConfigError: If none came with it.
    """
    if not (root / WEIGHTS_NAME).is_file():
        raise ConfigError(
            "No weights came with this code; train some with `accelerate launch train.py`, then "
            "name their folder or a hub id by --model."
        )
    return root


def find_results(model: str) -> Path:
    """Path of the results.json of a model on the hub, of the commit that `find_files` gives.

    Raises:
        HubError: If the model has none, or the hub cannot be reached.
    """
    commit = find_config(model).parent.name
    return _download(model, "results.json", commit if COMMIT.fullmatch(commit) else None)


def _local(model: str | os.PathLike[str], revision: str | None) -> Path | None:
    """The folder, None for a hub id, or an error for anything else."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        if revision is not None:
            raise ConfigError(
                f"revision={revision!r} was given with the local folder {folder}; revisions exist "
                "on the hub only, leave it out."
            )
        return folder
    if folder.is_file():
        raise ConfigError(f"{folder} is a file; name the folder that holds {config.NAME}.")
    if isinstance(model, str) and HUB_ID.fullmatch(model) and model[0] not in ".-":
        return None
    raise ConfigError(
        f"There is no folder {str(model)!r}, and it is not a hub id either (those read "
        "owner/name); name the folder of a training run or a hub id."
    )


def _existing(folder: Path, name: str) -> Path:
    if (folder / name).is_file():
        return folder / name
    raise ConfigError(
        f"{folder} holds no {name}; name a folder that train.py wrote, with {config.NAME} and "
        f"{WEIGHTS_NAME}."
    )


def _download(model: str, name: str, revision: str | None, refresh: bool = False) -> Path:
    path = _fetch(model, name, revision, refresh)
    _check_hash(path)
    return path


def _check_hash(path: Path) -> None:
    """Refuses what was damaged or changed on the way: the cache names large files by their hash.

    Raises:
        WeightsError: If the content is not what the hub announced; the file is deleted.
    """
    stored = path.resolve()
    if not HASH.fullmatch(stored.name) or files.sha256(stored) == stored.name:
        return
    path.unlink(missing_ok=True)
    stored.unlink(missing_ok=True)
    raise WeightsError(
        f"{path.name} is not the file that the hub announced: it was damaged or changed on the "
        "way. It has been deleted; try again, and do not use this hub if it comes so once more."
    )


def _fetch(model: str, name: str, revision: str | None, refresh: bool) -> Path:
    at = f"{model} at revision {revision}" if revision else model
    both = f"There is no folder {model!r} here, and"
    try:
        cached = None if refresh else try_to_load_from_cache(model, name, revision=revision)
        if isinstance(cached, str):
            return Path(cached)
        return Path(hf_hub_download(model, name, revision=revision, library_name="cifarnet"))
    except GatedRepoError:
        raise HubError(
            f"{model} is only open to those who accept its terms: do so on its page, then log in "
            "by `hf auth login`."
        ) from None
    except RepositoryNotFoundError:
        raise HubError(
            f"{both} the hub has no model of that name, or it is private. Check the spelling; for "
            "a private model log in by `hf auth login`."
        ) from None
    except RevisionNotFoundError:
        raise HubError(
            f"{model} has no revision {revision!r}; name a branch, tag or commit that exists."
        ) from None
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        offline = _caused_by(error, OfflineModeIsEnabled)
        why = "HF_HUB_OFFLINE forbids to ask the hub" if offline else "the hub cannot be reached"
        raise HubError(
            f"{both} {why}; {name} of {at} is not in the download cache. Check the connection and "
            "HF_ENDPOINT, or name a local folder."
        ) from None
    except EntryNotFoundError:
        raise HubError(
            f"{at} holds no {name} on the hub; it is not a model that train.py wrote."
        ) from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        denied = status in (HTTP_UNAUTHORIZED, HTTP_FORBIDDEN)
        hint = "log in by `hf auth login`" if denied else "try again later"
        raise HubError(f"The hub answered {status} for {name} of {at}; {hint}.") from None
    except HTTPError as error:
        raise HubError(
            f"The connection broke while {name} of {at} was fetched ({error}); try again."
        ) from None
    except HFValidationError:
        raise HubError(f"{both} it is no valid hub id (owner/name).") from None


def _caused_by(error: BaseException | None, kind: type[BaseException]) -> bool:
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__
    return False
