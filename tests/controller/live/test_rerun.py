"""A recorded run once more: the same is the same to the bit, and whatever is not is named."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from controller.errors import JournalError
from controller.live.events import Decided, Event, Output, Woken
from controller.live.journal import Journal
from controller.live.journal_reader import JournalReader, open_reader
from controller.live.rerun import Cause, rerun
from controller.live.rescore import draw, rescore
from controller.worlds import EvaluatedWorld
from tests.controller.live.live_made import BEGAN_US, WHO
from tests.controller.live.toy_core import ASLEEP, N, ToyCore, toy_run

BELOW = 0.15


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recorded") / "journal.sqlite"
    with Journal.open(path, WHO, unix_us=BEGAN_US) as journal:
        journal.append([record for output in toy_run(BELOW) for record in output])
    return path


@pytest.fixture
def reader(recorded: Path) -> JournalReader:
    return open_reader(recorded)


@dataclass
class Wrong(ToyCore):
    """Does something else in one of its decisions."""

    what: str = ""
    at: int = 20
    made: int = 0

    def feed(self, event: Event) -> Output:
        out = super().feed(event)
        for place, record in enumerate(out.durable):
            if isinstance(record, Decided):
                self.made += 1
                if self.made != self.at:
                    continue
                if self.what == "drop":
                    out.durable.pop(place)
                elif self.what == "more":
                    out.durable.append(record)
                elif self.what == "plan":
                    out.durable[place] = replace(record, plan_id="other")
                else:
                    changed = getattr(record, self.what).copy()
                    changed[-1] += 1
                    out.durable[place] = replace(record, **{self.what: changed})
                break
        return out


def test_the_same_core_decides_the_same(reader: JournalReader) -> None:
    assert list(rerun(reader, 1, lambda: ToyCore(BELOW))) == []
    assert sum(len(d.cell) for d in reader.decisions(1)) > 100


@pytest.mark.parametrize(
    ("what", "cause"),
    [
        *(
            (name, Cause.DECISION)
            for name in ("cell", "revision", "level", "expected_level", "reason", "plan")
        ),
        ("drop", Cause.NOT_DECIDED),
        ("more", Cause.NOT_RECORDED),
    ],
)
def test_one_bit_of_one_decision_is_named(reader: JournalReader, what: str, cause: Cause) -> None:
    (difference, *more) = list(rerun(reader, 1, lambda: Wrong(BELOW, what=what)))
    assert (difference.cause, more) == (cause, [])
    assert difference.unix_us > BEGAN_US
    assert "cells from number" in difference.what


def test_another_core_differs_and_another_identity_is_named(reader: JournalReader) -> None:
    now = replace(WHO, cpu="other", code_sha256="x", files={"model.onnx": "1"})
    found = list(rerun(reader, 1, lambda: ToyCore(0.3), now))
    assert [d.what for d in found if d.cause is Cause.IDENTITY] == [
        "code_sha256 is x, it was code",
        "cpu is other, it was cpu",
        "file model.onnx is 1, it was missing",
    ]
    assert any(d.cause is Cause.DECISION for d in found)


def test_missing_inputs_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.live.journal.KEY_EVERY", 8)
    path, outputs = tmp_path / "journal.sqlite", toy_run(BELOW, minutes=5)
    with Journal.open(path, WHO, unix_us=BEGAN_US) as journal:
        for number, records in enumerate(outputs):
            if number == 20:
                journal.count_lost(len(records))
            else:
                journal.append(records)
        first = next(rerun(journal, 1, lambda: ToyCore(BELOW)))
        assert (first.cause, first.what) == (Cause.MISSING_INPUT, "1 records could not be written")
        assert journal.prune(2**62) > 0
        (only,) = rerun(journal, 1, lambda: ToyCore(BELOW))
        assert only.cause is Cause.MISSING_INPUT
        assert "the beginning of the run is not kept" in only.what
        with pytest.raises(JournalError, match="there is no run 7"):
            list(rerun(journal, 7, lambda: ToyCore(BELOW)))


def names(agents: int = 3) -> np.ndarray:
    return np.array([f"agent-{a:03}-{i}" for a in range(agents) for i in range(N)])


def test_the_same_policy_scores_the_same(reader: JournalReader, world: EvaluatedWorld) -> None:
    score = rescore(reader, 1, lambda: ToyCore(BELOW), names(), world.world)
    assert score.n_differing == 0
    assert score.recorded.cell_hours.tolist() == score.rescored.cell_hours.tolist()
    assert score.recorded.energy == score.rescored.energy > 0
    assert score.recorded.changes_per_cell_day == score.rescored.changes_per_cell_day > 0


def test_another_policy_is_scored_on_the_same_traffic(reader: JournalReader, world: EvaluatedWorld) -> None:
    cores: list[ToyCore] = []

    def make() -> ToyCore:
        cores.append(ToyCore(0.3))
        return cores[-1]

    score = rescore(reader, 1, make, names(), world.world)
    assert cores[0].strangers == 0  # its agents follow it, not the record
    assert score.rescored.cell_hours[ASLEEP] > score.recorded.cell_hours[ASLEEP]
    assert score.rescored.energy < score.recorded.energy
    assert score.recorded.cell_hours.sum() == pytest.approx(3 * N * 0.5)
    assert 0 < score.n_differing <= 3 * N
    assert score.differing_cells[0][1] >= score.differing_cells[-1][1] > 0
    commands = sum(len(r.cell) for r in reader.records(1) if isinstance(r, Decided | Woken))
    assert score.recorded.changes_per_cell_day == pytest.approx(commands / (3 * N * 0.5 / 24))


def test_energy_is_that_of_the_worlds_tables(world: EvaluatedWorld) -> None:
    from hw.tables import draw as draw_kernel
    from hw.tables import pack

    made, rng = world.world, np.random.default_rng(2)
    tables = pack(made, sample_s=60, target_mbit_s=25, target_share=0.8)
    level = rng.integers(0, made.n_levels, 40).astype(np.uint8)
    carried = rng.uniform(0, 1, (40, 3)).astype(np.float32)
    carried[0, 0] = np.nan
    power = draw(made, np.zeros(40, np.int32), level, carried)
    assert np.isnan(power[0, 0])
    for i, s in zip(*np.nonzero(~np.isnan(carried)), strict=True):
        expected = draw_kernel.py_func(tables, 0, int(level[i]), carried[i, s], np.float32(made.ul_per_dl))
        assert power[i, s] == pytest.approx(float(expected), rel=1e-5)
