"""What all commands share at the terminal: reading traces, progress, and errors as one clear message."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from controller.errors import ConfigError, JournalError, ModelError, PolicyError
from hw.errors import SecurityError, WorldError
from traces.errors import TraceError
from traces.reading import read_trace
from traces.sample import sample_path
from traces.trace import Trace

QUIET_S = 2.0  # work shorter than this shows no progress bar
SAMPLE = "sample"  # name of the bundled trace, unless a file or folder has it
EXIT_ERROR = 2


def resolve_trace(path: Path) -> Path:
    """The path of a trace; ``sample`` is the bundled one unless something of that name is here."""
    return sample_path() if str(path) == SAMPLE and not path.exists() else path


def read_with_progress(
    path: Path, time_zone: str | None, assume_overlay: bool, mapping: Path | None = None
) -> Trace:
    """Read a trace, with a bar on standard error once it takes longer than ``QUIET_S``."""
    with progress_bar("reading") as tell:
        return read_trace(
            resolve_trace(path),
            time_zone=time_zone,
            assume_overlay=assume_overlay,
            counter_mapping=mapping,
            progress=tell,
        )


def utc_text(unix_us: int) -> str:
    """A moment to the second, as people read it."""
    return datetime.fromtimestamp(unix_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def plain(value: Any) -> Any:
    """The same with None for NaN and infinity, which JSON does not have."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def stage_bar(first: str) -> Iterator[Callable[[str, float], None]]:
    """Like ``progress_bar`` for work in named stages: told a stage and the share of it that is done."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<12}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task(first, total=1.0)
    begin = time.monotonic()

    def tell(stage: str, done: float) -> None:
        bar.update(task, description=stage, completed=done)
        if console.is_terminal and not bar.live.is_started and time.monotonic() - begin > QUIET_S:
            bar.start()

    try:
        yield tell
    finally:
        if bar.live.is_started:
            bar.stop()


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[float], None]]:
    """A function to be told the share that is done; it draws on standard error, and only for longer work."""
    with stage_bar(what) as tell:
        yield lambda done: tell(what, done)


@contextmanager
def errors_to_stderr() -> Iterator[None]:
    """Print an error of the input as one message on standard error and exit with 2."""
    try:
        yield
    except (
        TraceError,
        WorldError,
        ConfigError,
        JournalError,
        ModelError,
        PolicyError,
        SecurityError,
        OSError,
    ) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(EXIT_ERROR) from error
