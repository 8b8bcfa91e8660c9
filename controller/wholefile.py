"""Files that appear whole or not at all: what is being written stands beside them under another name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """The path to write to; it takes the place of ``path`` once the block ends without an error, else it goes."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)  # a disk that was full gets its room back
        raise


def write_text_whole(path: Path, text: str) -> None:
    """Write a text file."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")
