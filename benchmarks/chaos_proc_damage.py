"""Damages the journal of a controller that is down."""

from __future__ import annotations

from pathlib import Path
from random import Random

PAGE = 4096


def damage(journal: Path, random: Random) -> str:
    """Flip bytes, cut a tail or take a file away; what was done."""
    parts = [journal.with_name(journal.name + suffix) for suffix in ("", "-wal", ".head")]
    part = random.choice([part for part in parts if part.exists() and part.stat().st_size])
    size = part.stat().st_size
    way = random.choice(("flip", "cut", "remove"))
    if way == "flip":
        with part.open("r+b") as file:
            for _ in range(random.choice((1, 8, 64))):
                place = random.randrange(size)
                file.seek(place)
                byte = file.read(1)[0]
                file.seek(place)
                file.write(bytes([byte ^ random.randrange(1, 256)]))
    elif way == "cut":
        with part.open("r+b") as file:
            file.truncate(max(0, size - random.choice((1, 100, PAGE, 5 * PAGE))))
    else:
        part.unlink()
    return f"{way} {part.name} of {size} bytes"
