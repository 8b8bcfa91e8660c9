"""``--guard``: the option of every command that replays."""

from __future__ import annotations

from typing import Annotated

import typer

Guarded = Annotated[
    bool,
    typer.Option(
        "--guard",
        help="Watch every minute and wake cells between plans; the oracle may then wake cells on air in any minute. "
        "Default: planning alone.",
        show_default=False,
    ),
]
