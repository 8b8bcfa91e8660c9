"""Whether the journal of a chaos run has all that agents were heard to hold, but for damage that was told of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.chaos_proc_scene import Scene
from benchmarks.chaos_proc_watch import Site, held
from controller.live.journal_reader import open_reader
from traces.reading import read_trace

Lease = tuple[str, int, int]  # cell, revision, level


class JournalCheck:
    """The decisions of a journal against those that were seen to be in force."""

    def __init__(self, path: Path, scene: Scene) -> None:
        self._path = path
        self._names: list[str] = read_trace(scene.trace).cells.cell_id.tolist()
        self.lost: set[Lease] = set()  # by damage that was told of

    def decided(self) -> set[Lease]:
        """All decisions toward less service that the journal has."""
        reader = open_reader(self._path)
        try:
            return {
                (self._names[cell], revision, level)
                for run in reader.runs()
                for made in reader.decisions(run.run)
                for cell, revision, level in zip(
                    made.cell.tolist(), made.revision.tolist(), made.level.tolist(), strict=True
                )
            }
        finally:
            reader.close()

    def judge(self, sites: Sequence[Site]) -> list[str]:
        """Leases toward less service that are in no journal.

        One toward more service than the revision before it waits for no journal, and its record dies with a controller
        that is killed.
        """
        known, broken = self.decided() | self.lost, []
        level_of = {(cell, revision): level for cell, revision, level in known}
        for cell, revision, level in sorted({lease for site in sites for lease in held(site)} - known):
            if level > level_of.get((cell, revision - 1), -1):
                broken.append(f"{cell}: level {level} by revision {revision} is in no journal")
            level_of[cell, revision] = level
        return broken
