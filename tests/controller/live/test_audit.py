"""What an audit finds: any change of an export, and a chain that was written anew."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from controller.live.audit import AuditHead, export, head_now, head_of, verify
from controller.live.events import Ruling
from controller.live.journal import Journal
from controller.live.journal_batch import FIRST_CHAIN
from controller.live.journal_reader import open_reader
from hw.errors import SecurityError
from hw.security.certs import init_ca, issue
from hw.security.credentials import TlsFiles
from hw.security.identity import Role, make_identity
from hw.security.signing import sign, signer_of
from tests.controller.live.live_made import BEGAN_US, WHO, one_of_each


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("audit") / "journal.db"
    with Journal.open(path, WHO, unix_us=BEGAN_US) as writer:
        for record in one_of_each():
            writer.append([record])
    return path


@pytest.fixture(scope="module")
def lines(journal: Path) -> list[bytes]:
    return written(journal)


def written(path: Path) -> list[bytes]:
    reader = open_reader(path)
    try:
        return list(export(reader))
    finally:
        reader.close()


def head_at(lines: list[bytes], number: int) -> AuditHead:
    chain = next(d["sha256"] for line in lines if (d := json.loads(line)).get("append") == number)
    return AuditHead("edge-1", 1, number, chain, BEGAN_US)


def test_an_export_is_sound_and_holds_all(lines: list[bytes]) -> None:
    found = verify(lines, [head_at(lines, 5), head_at(lines, 12)])
    assert found.problems == []
    assert (found.batches, found.heads) == (len(lines) - 2, 2)
    kinds = {entry[1] for line in lines for entry in json.loads(line).get("entries", ())}
    assert kinds == {1, 2, 3, 4, 5, 6, 7, 8}


def test_a_changed_byte_is_found_at_a_thousand_places(lines: list[bytes]) -> None:
    whole, random = b"".join(lines), Random(7)
    for _ in range(1000):
        at = random.randrange(len(whole))
        changed = bytes([random.choice([b for b in range(256) if b != whole[at]])])
        broken = whole[:at] + changed + whole[at + 1 :]
        assert verify(broken.splitlines(keepends=True)).problems, (at, changed)


def test_lines_that_are_removed_inserted_or_reordered_are_found(lines: list[bytes]) -> None:
    for i in range(len(lines)):
        assert verify(lines[:i] + lines[i + 1 :]).problems
        assert verify(lines[: i + 1] + lines[i:]).problems
        if i:
            assert verify([*lines[: i - 1], lines[i], lines[i - 1], *lines[i + 1 :]]).problems


def test_a_cut_tail_is_found(lines: list[bytes]) -> None:
    whole = b"".join(lines)
    for cut in range(1, len(lines[-1]) + len(lines[-2])):
        assert verify(whole[:-cut].splitlines(keepends=True)).problems


def test_a_cut_tail_with_a_new_footer_is_found_by_a_head(lines: list[bytes]) -> None:
    last = json.loads(lines[-3])
    footer = json.dumps({"chain": last["sha256"], "end": last["append"]}, separators=(",", ":"))
    forged = [*lines[:-2], footer.encode() + b"\n"]
    assert verify(forged).problems == []
    (problem,) = verify(forged, [head_at(lines, last["append"] + 1)]).problems
    assert "a head says" in problem


def test_a_chain_written_anew_is_found_by_a_head(lines: list[bytes], tmp_path: Path) -> None:
    path = tmp_path / "forged.db"
    with Journal.open(path, WHO, unix_us=BEGAN_US) as writer:
        for record in one_of_each():
            if isinstance(record, Ruling):
                record = replace(record, verdict="in force")  # noqa: PLW2901
            writer.append([record])
    forged = written(path)
    assert verify(forged).problems == []
    assert any("rewritten" in problem for problem in verify(forged, [head_at(lines, 12)]).problems)


def test_a_head_of_pruned_appends_is_named_and_no_problem(lines: list[bytes]) -> None:
    header = json.loads(lines[0])
    assert (header["after"], header["chain"]) == (0, FIRST_CHAIN.hex())
    third = json.loads(lines[3])
    begin = json.dumps(header | {"after": 3, "chain": third["sha256"]}, separators=(",", ":"), sort_keys=True)
    found = verify([begin.encode() + b"\n", *lines[4:]], [head_at(lines, 2), head_at(lines, 3)])
    assert (found.problems, found.older_heads, found.heads) == ([], 1, 1)


def test_a_number_that_is_written_otherwise_is_found(lines: list[bytes]) -> None:
    for old, new in (
        (b'"lost":0', b'"lost":false'),
        (b'"is_key":true', b'"is_key":1'),
        (b'"run":1', b'"run":1.0'),
    ):
        broken = [line.replace(old, new, 1) for line in lines]
        assert broken != lines
        assert verify(broken).problems


def test_bytes_that_mean_the_same_are_found(lines: list[bytes]) -> None:
    for old, new in ((b"{", b"{ "), (b"smoke", b"sm\\u006fke"), (b"}\n", b"}\r\n")):
        broken = [line.replace(old, new, 1) for line in lines]
        assert broken != lines
        assert verify(broken).problems


def test_a_head_is_signed_by_the_certificate_of_the_controller(journal: Path, tmp_path: Path) -> None:
    lab, other = tmp_path / "lab", tmp_path / "other"
    for folder in (lab, other):
        init_ca(folder, 30)
        issue(folder, make_identity(Role.CONTROLLER, "edge-1"), ["127.0.0.1"], 30)
    reader = open_reader(journal)
    last = reader.last()
    reader.close()
    assert last is not None
    head = head_now(last, "edge-1", BEGAN_US)
    signed = sign(TlsFiles(lab, "edge-1"), head.content())
    assert str(signer_of(signed, lab)) == "controller/edge-1"
    assert head_of(signed.content) == head
    with pytest.raises(SecurityError, match="another CA"):
        signer_of(signed, other)
    with pytest.raises(SecurityError, match="does not belong"):
        signer_of(replace(signed, content=replace(head, batch=1).content()), lab)
