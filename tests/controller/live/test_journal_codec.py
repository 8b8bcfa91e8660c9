"""Events as bytes and back: exactly, in any mixture, and never anything but events."""

from __future__ import annotations

import math
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from controller.errors import JournalError
from controller.live.bytestream import Bytes, join_planes, pack, split_planes
from controller.live.events import (
    Answered,
    Connected,
    Disconnected,
    GuardTick,
    Renewed,
    Reported,
    Stopped,
    Taken,
)
from controller.live.journal_codec import Decoder, Encoder
from controller.live.journal_shape import FIELDS
from hw.adapters.radio import Answers, Outcome, RenewalAnswer, Report
from hw.ports import not_measured
from tests.controller.live.live_made import BEGAN_US, fleet_seconds, inventory, one_of_each, same

AGENTS = st.sampled_from(["a", "b", "", "naïve \ud800"])
WHOLE = st.integers(-(2**70), 2**70)
DIGEST = st.binary(max_size=33)
SHAPES = arrays.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=5)


def array(dtype: Any, shape: Any = SHAPES) -> st.SearchStrategy[Any]:
    return arrays.arrays(np.dtype(dtype), shape)


def floats(dtype: type) -> st.SearchStrategy[Any]:
    """Any bits: NaN of all kinds, both zeros, subnormal numbers."""
    width = np.dtype(dtype).itemsize
    return array(f"u{width}").map(lambda bits: bits.view(dtype))


REPORTS = st.builds(
    Report,
    AGENTS,
    DIGEST,
    WHOLE,
    WHOLE,
    WHOLE,
    WHOLE,
    floats(np.float32),
    array(np.uint8),
    array(np.uint8),
    array(np.uint64),
    array(np.int64),
    array(np.bool_),
    DIGEST,
    st.booleans(),
    WHOLE,
)
ANSWERS = st.builds(
    Answers, array(np.int64), array(np.uint64), array(np.uint8), array(np.uint8), array(np.uint8)
)
EVENTS = st.one_of(
    st.builds(Reported, REPORTS),
    st.builds(Answered, AGENTS, ANSWERS),
    st.builds(Renewed, AGENTS, st.builds(RenewalAnswer, WHOLE, st.sampled_from(Outcome), WHOLE, DIGEST)),
    st.builds(GuardTick, WHOLE),
    st.builds(Stopped, AGENTS, st.text()),
    st.builds(Disconnected, AGENTS),
    st.integers(0, 9).map(lambda n: Connected(inventory("a", n))),
)
BLOCKS = st.lists(
    st.tuples(st.booleans(), st.lists(st.builds(Taken, WHOLE, EVENTS), min_size=1, max_size=5)), max_size=5
)


@settings(max_examples=60)
@given(blocks=BLOCKS)
def test_any_events_come_back_bit_for_bit(blocks: list[tuple[bool, list[Taken]]]) -> None:
    encoder, decoder = Encoder(), Decoder()
    for resets, events in blocks:
        if resets:
            encoder.reset()
        is_key = encoder.is_key
        assert same(decoder.decode(encoder.encode(events), is_key=is_key), events)


def test_floats_of_a_world_to_come_and_big_endian_arrays_keep_their_value() -> None:
    answers = Answers(np.arange(3, dtype=">i8"), *(np.zeros(3, np.uint8) for _ in range(4)))  # type: ignore[arg-type]
    (back,) = Decoder().decode(Encoder().encode([Taken(1, Answered("a", answers))]), is_key=True)
    assert isinstance(back.event, Answered)
    assert back.event.answers.cell.tolist() == [0, 1, 2]
    for value in (-0.0, math.nan, math.inf, 1e-310):
        (back,) = Decoder().decode(Encoder().encode([Taken(1, GuardTick(value))]), is_key=True)  # type: ignore[arg-type]
        assert struct.pack("<d", back.event.unix_us) == struct.pack("<d", value)  # type: ignore[union-attr]


def test_what_does_not_change_costs_little() -> None:
    encoder = Encoder()
    blocks = [
        [r for r in records if isinstance(r, Taken)] for records in fleet_seconds(4, 50, 80, changes_a_day=0)
    ]
    sizes = [len(encoder.encode(events)) for events in blocks]
    alone = [(size, b[0].event) for size, b in zip(sizes, blocks, strict=True) if len(b) == 1][4:]
    reports = [(size, event.report.carried.shape[1]) for size, event in alone if isinstance(event, Reported)]
    assert max(size for size, samples in reports if samples == 0) < 50
    assert max(size for size, samples in reports if samples == 1) < 50 * 4 + 50


@given(st.integers(-(2**80), 2**80), st.integers(0, 2**80))
def test_numbers_of_any_size(number: int, natural: int) -> None:
    stream = Bytes(pack(number, signed=True) + pack(natural))
    assert (stream.number(signed=True), stream.number(), stream.left) == (number, natural, 0)


@given(st.binary(max_size=64), st.sampled_from([1, 2, 4, 8]))
def test_planes_are_joined_as_they_were(content: bytes, width: int) -> None:
    whole = content[: len(content) // width * width]
    assert join_planes(split_planes(whole, width).tobytes(), width) == whole


def test_a_damaged_block_is_an_error_and_not_a_crash() -> None:
    events = [r for r in one_of_each() if isinstance(r, Taken)]
    block, rng = Encoder().encode(events), np.random.default_rng(1)
    for _ in range(600):
        at = int(rng.integers(len(block)))
        damaged = block[:at] + bytes([block[at] ^ int(rng.integers(1, 256))]) + block[at + 1 :]
        try:
            Decoder().decode(damaged if rng.random() < 0.7 else block[:at], is_key=True)
        except JournalError as error:
            assert "cannot be read" in str(error) or "version" in str(error)
    with pytest.raises(JournalError, match="cannot be read"):
        Decoder().decode(block, is_key=True) and Decoder().decode(Encoder().encode(events)[:-1], is_key=True)


def test_blocks_of_other_classes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    block = Encoder().encode([Taken(BEGAN_US, GuardTick(BEGAN_US))])
    monkeypatch.setitem(FIELDS, "GuardTick", ["unix_ms"])
    with pytest.raises(JournalError, match="use the version of then"):
        Decoder().decode(block, is_key=True)


def test_reports_of_before_a_field_was_added_are_read_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    report = next(
        r.event.report for r in one_of_each() if isinstance(r, Taken) and isinstance(r.event, Reported)
    )
    old = replace(report, throughput=not_measured(), energy_wh=not_measured())
    names = FIELDS["Report"]
    with monkeypatch.context() as then:
        then.setitem(FIELDS, "Report", [n for n in names if n not in ("throughput", "energy_wh")])
        block = Encoder().encode([Taken(BEGAN_US, Reported(report))])
    (found,) = Decoder().decode(block, is_key=True)
    assert same(found, Taken(BEGAN_US, Reported(old)))
