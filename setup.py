"""Builds the package `cifarnet`: model/ under that name, the page, and the default model inside.

In a checkout, web/, app.py and train.py import `model` and `web`. Names as common as those must not
be taken in other people's environments, so the copies in the package say `cifarnet` and
`cifarnet.web`. Everything else about the package stands in pyproject.toml.
"""

import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
PROGRAMS = ("app.py", "train.py")
DEFAULT_MODEL = ("config.json", "model.safetensors", "results.json", "README.md")
IMPORT = re.compile(r"^( *)(from|import) (model|web)\b", re.MULTILINE)
NAMES = {"model": "cifarnet", "web": "cifarnet.web"}


class BuildPackage(build_py):
    """Copies the listed packages as setuptools does, then what lies outside of their folders."""

    def run(self) -> None:
        """Builds the package."""
        super().run()
        if self.editable_mode:  # imports the checkout itself
            return
        package = Path(self.build_lib, "cifarnet")
        for name in (*PROGRAMS, *DEFAULT_MODEL):
            shutil.copy(ROOT / name, package / name)
        (package / "examples").mkdir()
        for path in (ROOT / "examples").glob("*.png"):
            shutil.copy(path, package / "examples")
        for path in [*(package / "web").rglob("*.py"), *(package / name for name in PROGRAMS)]:
            text = path.read_text(encoding="utf-8")
            path.write_text(IMPORT.sub(_renamed, text), encoding="utf-8")


def _renamed(found: re.Match[str]) -> str:
    """`import model` becomes `import cifarnet as model`, so that the code below can say `model`."""
    indent, word, name = found.groups()
    bare = word == "import" and found.string[found.end() : found.end() + 1] != "."
    return f"{indent}{word} {NAMES[name]}" + (f" as {name}" if bare else "")


# Built elsewhere: a folder build/ would keep what was since deleted, and put it into the package.
with TemporaryDirectory() as folder:
    elsewhere = {"build": {"build_base": folder}, "egg_info": {"egg_base": folder}}
    setup(cmdclass={"build_py": BuildPackage}, options=elsewhere)
