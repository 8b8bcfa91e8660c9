"""``--lever``: the option of every command that replays."""

from __future__ import annotations

from typing import Annotated, cast, get_args

import typer

from hw.symbols.levers import Lever

Levers = Annotated[
    list[str] | None,
    typer.Option(
        "--lever",
        help="What empty symbols may do beyond micro sleep, may be repeated: light_sleep in gaps that outlast its "
        "transition, filling of symbols within a latency budget of 10 ms. 3GPP worlds only; the baselines none and "
        "symbol stay without. Default: neither.",
        show_default=False,
    ),
]


def check_levers(given: list[str] | None) -> tuple[Lever, ...]:
    """The levers as named, each once. Raises typer.BadParameter for an unknown name."""
    for name in given or ():
        if name not in get_args(Lever):
            raise typer.BadParameter(
                f"{name!r} is no lever; known: {', '.join(get_args(Lever))}", param_hint="--lever"
            )
    return tuple(cast(Lever, name) for name in dict.fromkeys(given or ()))
