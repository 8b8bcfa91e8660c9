"""A journal that follows another one: the same to the last bit, whoever led meanwhile, and nothing thrown away."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from random import Random

import pytest

from controller.errors import JournalError
from controller.live import following, replica_source
from controller.live.audit import head_now, verify
from controller.live.events import Alarm, Record, Ruling, Scope, StageChanged
from controller.live.following import follow
from controller.live.journal import Journal
from controller.live.journal_damage import examine
from controller.live.journal_reader import open_reader
from controller.live.journal_state import head_path, read_head
from controller.live.replica import Replica
from controller.live.replica_source import JournalSource
from hw.adapters.health import HealthServer
from hw.adapters.replica import Fetched, ReplicaClient
from hw.adapters.replica_server import SERVICE, serves_replica
from hw.ports import HostClock
from hw.security.gate import Gate
from hw.security.identity import ALLOWED, Role
from hw.security.limits import Limits
from tests.controller.live.live_made import BEGAN_US, WHO, fleet_seconds, one_of_each
from tests.controller.live.loop_doubles import Told
from tests.controller.live.test_journal import decided, tick

NOW_US = BEGAN_US + 10_000_000
IN_FORCE = Ruling(
    BEGAN_US, "in force", StageChanged(Scope("region", "north"), "shadow", "admin/bob", "sure"), 8, "why"
)


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, Path]:
    """Of the one that leads first, and of the other."""
    return tmp_path / "one.db", tmp_path / "two.db"


def lead(path: Path, *parts: list[Record], epoch: int = 1) -> None:
    with Journal.open(path, WHO, unix_us=BEGAN_US, least_run=epoch) as journal:
        assert journal.damage is None
        for part in parts:
            journal.append(part)


def fetch_all(source: Path, target: Path, most: int = 1000) -> int:
    """Follow until there is no more; how often it was asked."""
    found, one = JournalSource(source), Replica.open(target, NOW_US)
    try:
        for asked in range(1, most + 1):
            if not one.take(asked_of(found, one), time.time_ns() // 1000):
                return asked
        return most
    finally:
        one.close()


def asked_of(source: JournalSource, target: Replica) -> Fetched:
    after, chain, cuts = target.asks
    return asyncio.run(source.fetch(after, chain, cuts=cuts))


def content(path: Path) -> list[bytes]:
    """The SHA-256 of each append, which stands for its content; all of them are checked."""
    found = examine(path, read_head(path), needs_head=True)
    assert not found.cause
    reader = open_reader(path)
    try:
        return [reader.base()[1], *[batch.chain for batch in reader.batches()]]
    finally:
        reader.close()


def parted(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}.parted-*"))


@pytest.mark.parametrize("at_once", [1, 7, 500])
def test_it_is_the_same_to_the_last_bit_and_whoever_leads_goes_on_with_it(
    paths: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(replica_source, "APPENDS_AT_ONCE", at_once)
    one, two = paths
    lead(one, one_of_each(), [decided(3), IN_FORCE], *fleet_seconds(3, 5, 10), one_of_each())
    assert fetch_all(one, two) == -(-(len(content(one)) - 1) // at_once) + 1
    assert content(two) == content(one)
    with (
        Journal.open(one, WHO, unix_us=NOW_US) as ours,
        Journal.open(two, WHO, unix_us=NOW_US, least_run=9) as theirs,
    ):
        assert theirs.damage is None
        assert theirs.run == 9
        assert theirs.rulings() == ours.rulings() != ()
        assert theirs.rolled_back() == ours.rolled_back()
        assert theirs.stop_latch() == ours.stop_latch()
        assert theirs.last_commands().revision.tolist() == ours.last_commands().revision.tolist()


def test_a_tail_that_was_not_fetched_is_kept_in_a_file_before_it_is_cut(paths: tuple[Path, Path]) -> None:
    one, two = paths
    lead(one, [decided(3)], [tick(1)], epoch=4)
    fetch_all(one, two)
    common = len(content(one))
    lead(one, [decided(3, revision=2)], *[[tick(second)] for second in range(20)], epoch=5)  # nobody fetches
    lead(two, [decided(2, revision=7)], epoch=6)
    end = open_reader(one).last()
    assert end is not None
    fetch_all(two, one)
    assert content(one) == content(two)
    assert len(content(one)) == common + 2
    (kept,) = parted(one)
    with kept.open("rb") as lines:
        found = verify(lines, [head_now(end, "edge-1", NOW_US)])
    assert (found.problems, found.heads) == ([], 1)
    assert found.batches >= 22
    with Journal.open(one, WHO, unix_us=NOW_US) as journal:
        assert journal.damage is None
        assert journal.last_commands().revision.tolist() == [7, 7, 1]


def test_a_journal_that_has_nothing_in_common_is_kept_in_files(paths: tuple[Path, Path]) -> None:
    one, two = paths
    lead(one, [decided(3)], [tick(100)], [tick(101)])
    lead(two, [decided(5)], [tick(3)], epoch=2)
    before = content(one)
    fetch_all(two, one)
    assert content(one) == content(two)
    (kept,) = parted(one)
    assert verify(kept.read_bytes().splitlines(keepends=True)).batches == len(before) - 1
    lead(one, epoch=3)
    with Journal.open(one, WHO, unix_us=BEGAN_US) as journal:  # its beginning is gone, and so it stays whole
        journal.append([tick(100)])
        assert journal.prune(BEGAN_US + 50_000_000)
    before = content(one)
    two.unlink()
    head_path(two).unlink()
    lead(two, [decided(6)])
    fetch_all(two, one)
    assert content(one) == content(two)
    kept = next(path for path in parted(one) if path.read_bytes().startswith(b"SQLite"))
    reader = open_reader(kept)
    assert [batch.chain for batch in reader.batches()] == before[1:]
    reader.close()


def test_what_pruned_appends_left_behind_comes_first(paths: tuple[Path, Path]) -> None:
    one, two = paths
    lead(one, [*one_of_each(), IN_FORCE], epoch=3)
    lead(one, [decided(4, revision=8)], epoch=5)
    with Journal.open(one, WHO, unix_us=BEGAN_US) as journal:
        journal.append([tick(100)])
        assert journal.prune(BEGAN_US + 50_000_000)
        fetch_all(one, two)
        assert content(two) == content(one)
        expected = journal.last_commands().revision.tolist()
        words = journal.rulings()
    with Journal.open(two, WHO, unix_us=NOW_US) as follower:
        assert follower.last_commands().revision.tolist() == expected
        assert follower.rulings() == words != ()


def test_what_was_changed_on_its_way_is_refused_whole(paths: tuple[Path, Path]) -> None:
    one, two = paths
    lead(one, [decided(3)], [decided(3, revision=2)])
    target = Replica.open(two, NOW_US)
    found = asked_of(JournalSource(one), target)
    changed = found.appends[-1].replace(b'"records":1', b'"records":2')
    assert changed != found.appends[-1]
    for lines in ([*found.appends[:-1], changed], found.appends[1:], [found.appends[0]] * 2):
        with pytest.raises(JournalError):
            target.take(Fetched(appends=tuple(lines)), NOW_US)
    assert target.asks[0] == 0
    target.close()
    assert len(content(two)) == 1


def test_a_process_that_dies_while_it_cuts_leaves_a_sound_journal(
    paths: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = paths
    lead(one, [decided(3)])
    fetch_all(one, two)
    lead(one, [tick(1)], epoch=2)
    lead(two, [tick(2)], epoch=3)
    whole, write_head = content(one), Replica._write_head

    def dies(self: Replica, state: object) -> None:
        write_head(self, state)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Replica, "_write_head", dies)
        with pytest.raises(KeyboardInterrupt):
            fetch_all(two, one)
    assert content(one) == whole
    fetch_all(two, one)
    assert content(one) == content(two)


@pytest.mark.parametrize("seed", range(6))
def test_whoever_leads_and_whatever_is_fetched_the_follower_ends_alike_and_nothing_is_lost(
    paths: tuple[Path, Path], seed: int
) -> None:
    random, epoch, ever = Random(seed), 0, set[bytes]()
    for _ in range(8):
        epoch += 1
        leader, follower = random.sample(paths, 2)
        fetch_all(follower, leader, random.randint(0, 2)) if follower.exists() else None
        parts = [[tick(epoch)] if random.random() < 0.5 else [decided(3, revision=epoch)] for _ in range(5)]
        lead(leader, *parts[: random.randint(0, 5)], epoch=epoch)
        ever |= set(content(leader))
    epoch += 1
    lead(paths[0], epoch=epoch)
    fetch_all(*paths)
    assert content(paths[1]) == content(paths[0])
    kept = set(content(paths[0]))
    for path in (file for one in paths for file in parted(one)):
        if path.name.endswith(("-wal", "-shm")):
            continue
        if path.read_bytes().startswith(b"SQLite"):
            reader = open_reader(path)
            kept |= {batch.chain for batch in reader.batches()}
            reader.close()
        else:
            assert verify(path.read_bytes().splitlines(keepends=True)).problems == []
            kept |= {bytes.fromhex(part[:64].decode()) for part in path.read_bytes().split(b'"sha256":"')[1:]}
    assert ever <= kept | {bytes(32)}


def test_it_follows_over_the_network_until_it_is_cancelled(
    paths: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "EVERY_S", 0.01)
    one, two = paths
    lead(one, [decided(3)])

    async def test() -> None:
        told, server = Told(), HealthServer([Gate(Limits(), is_insecure=True)])
        server.add(SERVICE, serves_replica(JournalSource(one)))
        port = await server.start("127.0.0.1:0", None)
        async with ReplicaClient(f"127.0.0.1:{port}", None) as peer:
            following = asyncio.ensure_future(follow(two, peer, HostClock(), 10**15, told))
            while not told.of("replica"):
                await asyncio.sleep(0.01)
            with Journal.open(one, WHO, unix_us=BEGAN_US) as journal:
                journal.append([Alarm(BEGAN_US, "minor", "x", "y")])
                end = journal.last()
                while (await asyncio.to_thread(_last, two)) != end:
                    await asyncio.sleep(0.01)
            await server.stop()
            while len(told.of("replica")) < 2:
                await asyncio.sleep(0.01)
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        assert [line["follows"] for line in told.of("replica")] == [True, False]

    asyncio.run(asyncio.wait_for(test(), 60))
    Replica.open(two, NOW_US).close()  # nobody holds it any more


def _last(path: Path) -> tuple[int, int, bytes] | None:
    reader = open_reader(path)
    try:
        return reader.last()
    finally:
        reader.close()


def test_who_is_cancelled_waits_for_what_is_being_written() -> None:
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def write() -> None:
        begun.set()
        may_end.wait(10)
        ended.set()

    async def test() -> None:
        task = asyncio.ensure_future(following._to_its_end(write))
        await asyncio.to_thread(begun.wait, 10)
        task.cancel()
        await asyncio.sleep(0.01)
        assert not task.done()
        may_end.set()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        assert ended.is_set()

    asyncio.run(test())


def test_only_controllers_and_administrators_may_fetch() -> None:
    assert [role for role in Role if f"/{SERVICE}/Fetch" in ALLOWED[role]] == [Role.CONTROLLER, Role.ADMIN]
