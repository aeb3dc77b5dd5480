"""Files that appear complete or not at all, and what may be told of where they lie."""

import hashlib
import json
import os
import secrets
from pathlib import Path
from typing import Any

from .errors import ConfigError

UNFINISHED = ".tmp"  # ends the names of files that are still being written


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes a file as `write_together` does."""
    write_together({Path(path): data})


def write_together(contents: dict[Path, bytes]) -> None:
    """Writes files beside their destinations, flushes them to disk, then renames them into place.

    Args:
        contents: The whole content of each, by its destination; the files are replaced in this
            order, once all of them are safe.

    Raises:
        OSError: If the disk is full or a folder cannot be written; nothing is left behind.
    """
    ending = f".{secrets.token_hex(4)}{UNFINISHED}"
    new = {path: path.with_name(f".{path.name}{ending}") for path in contents}
    try:
        for path, data in contents.items():
            with open(new[path], "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        for path in contents:
            os.replace(new[path], path)
    except BaseException:
        for path in new.values():
            path.unlink(missing_ok=True)
        raise


def unfinished(directory: Path) -> set[Path]:
    """What a program that was killed while it wrote to a folder has left there."""
    return set(directory.glob(f".*{UNFINISHED}"))


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes UTF-8 text as `write_bytes` does."""
    write_bytes(path, text.encode())


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Writes `as_json` as `write_bytes` does."""
    write_bytes(path, as_json(content))


def as_json(content: Any) -> bytes:
    """Indented JSON; NaN and infinity are refused (not JSON)."""
    # Not as ASCII, in which names of many scripts would take three times as much.
    return (json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n").encode()


def read_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
        ConfigError: If the file is missing, cannot be read, is not JSON, or is not an object.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}); check its path and its permissions."
        ) from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"{path} is not valid JSON ({error}); restore it or download it again."
        ) from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path} holds a JSON {type(content).__name__}, an object was expected.")
    return content


def sha256(path: str | os.PathLike[str]) -> str:
    """Hash of a file's content, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def public_name(name: str) -> str:
    """What may be published of a dataset's name: of a local folder only its own, no path."""
    return Path(name).resolve().name if Path(name).is_dir() else name
