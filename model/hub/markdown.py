"""Markdown for model cards."""

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are aligned right if they hold numbers."""
    rows = list(rows)
    numeric = [all(cell[:1].isdigit() for cell in column) for column in zip(*rows, strict=True)]
    ruler = ["---:" if is_numeric else "---" for is_numeric in numeric]
    lines = [header, ruler, *([escape(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def bullets(items: Iterable[str]) -> str:
    """A list."""
    return "\n".join(f"- {item}" for item in items)


def escape(text: str) -> str:
    """Keeps class names from ending a table cell or starting HTML."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
