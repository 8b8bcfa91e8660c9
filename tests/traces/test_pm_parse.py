from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from traces.errors import TraceError
from traces.pm import looks_like_pm, parse, source
from traces.pm.parse import MeasValue, PmParser
from traces.pm.source import FileRefusedError, measurement_files, read_chunks

HEAD = '<measCollecFile><measData><managedElement localDn="n"/>'
TAIL = "</measData></measCollecFile>"
W = '<measType p="1">w</measType>'
DEEP = "<a>" * 99 + "</a>" * 99
PERIOD = '<granPeriod duration="PT15M" endTime="2024-01-01T00:15:00Z"/>'


def values_of(text: str | bytes, wanted: str = "w", element_chunk: int = 7) -> list[MeasValue[str]]:
    """Parse ``text`` in small pieces; of interest are counters that begin with ``wanted``, and objects C=."""
    data = text.encode() if isinstance(text, str) else text
    found: list[MeasValue[str]] = []
    parser = PmParser[str](
        "f.xml",
        lambda name: name.startswith(wanted),
        lambda me, ldn: me if "C=" in ldn else None,
        found.append,
    )
    parser.parse(data[i : i + element_chunk] for i in range(0, len(data), element_chunk))
    return found


def info(types: str, *values: str) -> str:
    return f"<measInfo>{PERIOD}{types}{''.join(values)}</measInfo>"


def value(ldn: str, inside: str) -> str:
    return f'<measValue measObjLdn="{ldn}">{inside}</measValue>'


def test_p_belongs_to_its_own_meas_info_and_order_does_not_matter() -> None:
    one = info(
        '<measType p="1">w1</measType><measType p="2">x</measType>',
        value("C=1", '<r p="2">0</r><r p="1">5</r>'),
    )
    two = info(
        '<measType p="1">x</measType><measType p="2">w2</measType>',
        value("C=1", '<r p="1">0</r><r p="2">6</r>'),
    )
    found = values_of(HEAD + one + two + TAIL)
    assert [v.results for v in found] == [{"w1": "5"}, {"w2": "6"}]
    assert found[0].duration == "PT15M" and found[0].end_time == "2024-01-01T00:15:00Z"


def test_lists_of_types_and_results() -> None:
    found = values_of(
        HEAD + info("<measTypes>a w b</measTypes>", value("C=1", "<measResults> 1\n2 3</measResults>")) + TAIL
    )
    assert found[0].results == {"w": "2"}
    found = values_of(
        HEAD + info("<measTypes>a w b</measTypes>", value("C=1", "<measResults>1 2</measResults>")) + TAIL
    )
    assert found[0].results == {} and found[0].faults[0][1] == "not as many results as measurement types"


def test_uninteresting_parts_are_skipped_and_what_follows_is_not() -> None:
    body = (
        info(
            '<measType p="1">x</measType>', value("C=1", '<r p="1">1</r>'), value("C=2", '<r p="1"><x/></r>')
        )
        + info(W, value("D=1", '<r p="1">1</r>'), value("C=2", '<r p="1">8</r>'))
        + info(W, value("C=3", '<r p="1">9</r>'))
    )
    assert [(v.ldn, v.results) for v in values_of(HEAD + body + TAIL)] == [
        ("C=2", {"w": "8"}),
        ("C=3", {"w": "9"}),
    ]


def test_suspect_in_any_place_and_form() -> None:
    types = W
    texts = [
        "<suspect>true</suspect>",
        "<suspect> TRUE </suspect>",
        "<suspect>1</suspect>",
        "<suspect>false</suspect>",
    ]
    found = values_of(HEAD + info(types, *(value("C=1", f'{t}<r p="1">1</r>{t}') for t in texts)) + TAIL)
    assert [v.suspect for v in found] == [True, True, True, False]


def test_network_element_comes_from_element_then_label_then_sender() -> None:
    results = info("<measTypes>w</measTypes>", value("C=1", "<measResults>1</measResults>"))
    text = (
        '<measCollecFile><fileHeader><fileSender localDn="s"/></fileHeader>'
        f"<measData>{results}</measData>"
        f'<measData><managedElement userLabel="u"/>{results}</measData>'
        f"<measData><managedElement/>{results}</measData></measCollecFile>"
    )
    assert [v.target for v in values_of(text)] == ["s", "u", "s"]


def test_faults_of_results_are_told() -> None:
    types = '<measType p="1">w1</measType><measType p="2">w1</measType>'
    (found,) = values_of(
        HEAD + info(types, value("C=1", '<r p="1">1</r><r p="2">2</r><r p="9">3</r><r>4</r>')) + TAIL
    )
    assert [reason for _, reason, _ in found.faults] == [
        "two different results of one counter",
        "result without a measType of its p",
        "result without a measType of its p",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('<!DOCTYPE measCollecFile [<!ENTITY a "b">]>' + HEAD + TAIL, "document types"),
        ('<!DOCTYPE measCollecFile SYSTEM "file:///etc/passwd">' + HEAD + TAIL, "document types"),
        (HEAD + "&a;" + TAIL, "undefined entity"),
        (HEAD + info(W, value("C=1", '<r p="1">&a;</r>')) + TAIL, "undefined entity"),
        (HEAD, "no element found"),
        ("", "no element found"),
        ("<x/>", "root element x"),
        (HEAD + '<measValue measObjLdn="C=1"/>' + TAIL, "measValue inside measData"),
        (HEAD + info(W, '<r p="1">1</r>') + TAIL, "r inside measInfo"),
        (HEAD + info('<measType p="1">w</measType><measType p="1">x</measType>') + TAIL, "twice"),
        (HEAD + info(W, value("C=1", ""), '<measType p="2">w</measType>') + TAIL, "after"),
        (HEAD + info(W, value("C=1", '<r p="1">1<b/></r>')) + TAIL, "inside a result"),
        (HEAD + DEEP + TAIL, "deep"),
        (HEAD + info('<measType p="1">x</measType>', value("C=1", DEEP)) + TAIL, "deep"),
        (HEAD + info(W, value("C=1", DEEP)) + TAIL, "deep"),
        ('<?xml version="1.0" encoding="no-such"?>' + HEAD + TAIL, "encoding"),
        (HEAD.encode() + b"\xff" + TAIL.encode(), "not well-formed"),
        (HEAD.encode("utf-16") + b"\x00", "not well-formed"),
    ],
)  # fmt: skip
def test_refused_with_place_and_remedy(text: str | bytes, reason: str) -> None:
    with pytest.raises(FileRefusedError, match=r"f\.xml, line \d+: .*; ") as error:
        values_of(text)
    assert reason in str(error.value)


def test_limits_of_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parse, "MAX_TAG_BYTES", 1000)
    monkeypatch.setattr(parse, "CHUNK_BYTES", 100)
    monkeypatch.setattr(parse, "MAX_TEXT_CHARS", 1000)
    monkeypatch.setattr(parse, "MAX_TYPES", 10)
    for long in ("<!--" + "x" * 9000 + "-->", '<x y="' + "x" * 9000 + '"/>', "<?x " + "x" * 9000 + "?>"):
        with pytest.raises(FileRefusedError, match="tag or comment"):
            values_of(HEAD + long + TAIL)
    with pytest.raises(FileRefusedError, match="text of more"):
        values_of(HEAD + info(W, value("C=1", f'<r p="1">{"1" * 9000}</r>')) + TAIL)
    with pytest.raises(FileRefusedError, match="more than 10"):
        values_of(HEAD + info("<measTypes>" + " ".join(f"w{i}" for i in range(11)) + "</measTypes>") + TAIL)
    with pytest.raises(FileRefusedError, match="different names"):
        values_of(HEAD + "".join(f"<n{i}/>" for i in range(3000)) + TAIL, element_chunk=900)


def test_long_text_between_tags_is_no_long_tag() -> None:
    assert values_of(HEAD + "\n" * 3_000_000 + TAIL, element_chunk=source.CHUNK_BYTES) == []


def test_gzip_is_told_by_content_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = (HEAD + TAIL).encode()
    packed = tmp_path / "no-suffix"
    packed.write_bytes(gzip.compress(data[:9]) + gzip.compress(data[9:]))
    assert looks_like_pm(packed) and b"".join(read_chunks(packed)) == data
    packed.write_bytes(gzip.compress(data)[:-9])
    with pytest.raises(FileRefusedError, match="cannot be read"):
        list(read_chunks(packed))
    monkeypatch.setattr(source, "MAX_FILE_BYTES", 2**20)
    packed.write_bytes(gzip.compress(data + b" " * 2**21))
    with pytest.raises(FileRefusedError, match="more than 1 MiB after unpacking"):
        list(read_chunks(packed))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"<?xml version='1.0'?><!-- x --><a:measDataFile xmlns:a='u'>", True),
        (b"\xef\xbb\xbf<measCollecFile/>", True),
        ("<measCollecFile/>".encode("utf-16"), True),
        (b"<!DOCTYPE measCollecFile [<!ENTITY a 'b'>]><measCollecFile x='&a;'/>", True),
        (b"<!DOCTYPE measCollecFile [<!ENTITY a", True),  # entities are not looked at before it is refused
        (b"<html/>", False),
        (b"", False),
        (b"\x1f\x8b broken", False),
        (b"cell_id,timestamp\n", False),
    ],
)
def test_looks_like_pm_by_content(tmp_path: Path, content: bytes, expected: bool) -> None:
    path = tmp_path / "A20240101.0000+0000-0015+0000_x.csv"
    path.write_bytes(content)
    assert looks_like_pm(path) is expected
    assert looks_like_pm(tmp_path) is expected
    assert not looks_like_pm(tmp_path / "none")


def test_files_of_folders_and_what_is_skipped(tmp_path: Path) -> None:
    deep = tmp_path / "b" / "c"
    deep.mkdir(parents=True)
    (deep / "x").write_text("<measCollecFile/>")
    (tmp_path / "a.xml").write_text("<measDataFile/>")
    (tmp_path / "readme.txt").write_text("hello")
    assert measurement_files([tmp_path]) == ([tmp_path / "a.xml", deep / "x"], 1)
    with pytest.raises(TraceError, match=r"readme\.txt: not a measurement file"):
        measurement_files([tmp_path / "readme.txt"])
    with pytest.raises(TraceError, match="no such file"):
        measurement_files([tmp_path / "none"])
    (tmp_path / "a.xml").unlink()
    (deep / "x").unlink()
    with pytest.raises(TraceError, match=r"no measurement file .*\(1 other files\)"):
        measurement_files([tmp_path])
