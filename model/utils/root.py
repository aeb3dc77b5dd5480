"""Where the default model lies: beside this package in a checkout, inside it where installed."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
INSTALLED = (PACKAGE / "config.json").is_file()
ROOT = PACKAGE if INSTALLED else PACKAGE.parent
