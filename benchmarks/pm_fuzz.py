"""10,000 mutated measurement files: each is read, or refused with a TraceError, in time. Prints one line.

Mutates files of this project and, if the folder ``pm_samples`` beside QUIETCELL_DATA has any, real ones.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from traces.errors import TraceError
from traces.pm import looks_like_pm, read_pm, write_pm
from traces.trace import SiteEnergy, Trace, make_cells

N_FILES = 10_000
REAL_EVERY = 20  # one file in so many is a mutated real one
LIMIT_S = 10
OWN = Path(__file__).parents[1] / "tests" / "data" / "pm"
_DATA = Path(os.environ.get("QUIETCELL_DATA", "../shared/data"))

_NUMBERS = [
    "1e999",
    "-1",
    "nan",
    "inf",
    "9" * 5000,
    "1_0",
    "0x10",
    "1,2,3",
    ",,,",
    " ",
    "NIL",
    "1e308",
    "5e-324",
]
_TIMES = [
    *(
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00+14:00",
        "2922-01-01T00:00:00Z",
        "2022-04-18T24:00:00+23:59",
    ),
    *("2022-04-18", "2022-03-27T02:30:00", "", "T", "PT0S", "PT99999999999S", "P1D", "-PT1S", "P" * 999),
]
_DOCTYPES = [
    '<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>',
    '<!DOCTYPE measCollecFile SYSTEM "file:///etc/hostname">',
    '<!DOCTYPE measCollecFile [<!ENTITY % p SYSTEM "file:///etc/hostname"> %p;]>',
    '<!DOCTYPE measCollecFile [<!ATTLIST r p CDATA "1">]>',
    "<!DOCTYPE x [" + "".join(f'<!ENTITY e{i} "&e{i + 1};&e{i + 1};">' for i in range(60)) + "]>",
]
_TAGS = ["", "</r>", "<r>", "<measInfo>", "<measValue>", "<x:r p='1'>1</x:r>", "<suspect>true</suspect>"]
_NAMES = [
    "",
    "x",
    "," * 99,
    "=" * 9,
    r"NRCellDU=\FF\C3",
    "NRCellDU=\N{LATIN SMALL LETTER E WITH ACUTE}",
    "A" * 100_000,
]
_ENCODINGS = ["UTF-16", "latin-1", "utf-7", "cp037", "idna", "rot13", "big5", "no-such", "US-ASCII", ""]

Mutation = Callable[[random.Random, bytes], bytes]


def _span(rng: random.Random, data: bytes, longest: int = 400) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.randrange(longest))


def flip_bits(rng: random.Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(rng.randint(1, 20)):
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


def drop_or_repeat(rng: random.Random, data: bytes) -> bytes:
    a, b = _span(rng, data)
    return data[:a] + data[a:b] * rng.choice((0, 2, 3, 50)) + data[b:]


def change_element(rng: random.Random, data: bytes) -> bytes:
    """Remove, repeat or move whole elements, so that the file stays well-formed."""
    kinds = (rb"r", rb"measType", rb"measValue", rb"measInfo", rb"measData", rb"granPeriod")
    for _ in range(rng.randint(1, 5)):
        found = list(re.finditer(rb"<(%s)\b(?:[^>]*/>|.*?</\1>)" % rng.choice(kinds), data, re.DOTALL))
        if found:
            one, other = rng.choice(found), rng.choice(found)
            new = rng.choice((b"", one[0] * 2, other[0], one[0] + other[0]))
            data = data[: one.start()] + new + data[one.end() :]
    return data


def move(rng: random.Random, data: bytes) -> bytes:
    a, b = _span(rng, data)
    rest = data[:a] + data[b:]
    at = rng.randrange(len(rest) + 1)
    return rest[:at] + data[a:b] + rest[at:]


def _replace_one(rng: random.Random, data: bytes, pattern: bytes, new: bytes, times: int = 1) -> bytes:
    """Replace group 1 of ``times`` random matches of ``pattern``."""
    for _ in range(times):
        matches = list(re.finditer(pattern, data))
        if matches:
            match = rng.choice(matches)
            data = data[: match.start(1)] + new + data[match.end(1) :]
    return data


def change_tag(rng: random.Random, data: bytes) -> bytes:
    return _replace_one(rng, data, rb"(<[^>]*>)", rng.choice(_TAGS).encode(), rng.randint(1, 3))


def rename_element(rng: random.Random, data: bytes) -> bytes:
    names = rb"measInfo|measValue|measType|measData|granPeriod|managedElement|suspect|r"
    old = rng.choice(names.split(b"|"))
    new = rng.choice([*names.split(b"|"), b"x:" + old, "é".encode()])
    return re.sub(rb"(</?)" + old + rb"\b", rb"\g<1>" + new, data)


def change_number(rng: random.Random, data: bytes) -> bytes:
    return _replace_one(rng, data, rb">([^<>\s]+)</r>", rng.choice(_NUMBERS).encode(), rng.randint(1, 10))


def change_time(rng: random.Random, data: bytes) -> bytes:
    new = rng.choice(_TIMES).encode()
    return _replace_one(rng, data, rb'(?:endTime|duration)="([^"]*)"', new, rng.randint(1, 4))


def change_name(rng: random.Random, data: bytes) -> bytes:
    new = rng.choice(_NAMES).encode()
    return _replace_one(rng, data, rb'(?:localDn|measObjLdn|p)="([^"]*)"', new, rng.randint(1, 5))


def add_entities(rng: random.Random, data: bytes) -> bytes:
    reference = rng.choice((b"&c;", b"&e0;", b"&#0;", b"&#x110000;", b"&lt;", b"&"))
    head, root, tail = _replace_one(rng, data, rb">([^<>]*)<", reference).partition(b"<measCollecFile")
    return head + rng.choice(["", *_DOCTYPES]).encode() + root + tail


def change_encoding(rng: random.Random, data: bytes) -> bytes:
    new = f'encoding="{rng.choice(_ENCODINGS)}"'.encode()
    declared = re.sub(rb'encoding="[^"]*"', new, data, count=1)
    if rng.random() < 0.5:
        return declared
    return declared.decode("utf-8").encode(rng.choice(("utf-16", "utf-32", "utf-16-be", "cp037")))


def nest(rng: random.Random, data: bytes) -> bytes:
    name = rng.choice((b"r", b"x", b"measInfo", b"measValue"))
    deep = (b"<" + name + b">") * rng.choice((50, 70, 5000)) + b"</" + name + b">" * rng.randrange(60)
    return _replace_one(rng, data, rb">()<", deep)


def bloat(rng: random.Random, data: bytes) -> bytes:
    filler = b"x" * rng.choice((10_000, 2_000_000))
    new = rng.choice((b"<!--%s-->", b"<x y='%s'/>", b"%s", b"<?x %s?>")) % filler
    return _replace_one(rng, data, rb">()<", new)


def many_names(rng: random.Random, data: bytes) -> bytes:
    return _replace_one(rng, data, rb">()<", b"".join(b"<n%d/>" % i for i in range(rng.choice((100, 5000)))))


def pack(rng: random.Random, data: bytes) -> bytes:
    packed = gzip.compress(data, 1)
    match rng.randrange(5):
        case 0:
            return cut(rng, packed)
        case 1:
            return flip_bits(rng, packed)
        case 2:
            return gzip.compress(packed, 1)
        case 3:
            return packed + rng.randbytes(20)
    return gzip.compress(bloat(rng, data) + b" " * 5_000_000, 1)


def noise(rng: random.Random, data: bytes) -> bytes:
    a, _ = _span(rng, data)
    return data[:a] + rng.randbytes(rng.randint(1, 300)) + data[a:]


MUTATIONS: list[Mutation] = [
    *(change_element, change_element, change_number, change_number, change_time, change_name),
    *(flip_bits, cut, drop_or_repeat, move, change_tag, rename_element, add_entities, change_encoding),
    *(nest, bloat, many_names, pack, noise),
]


def mutated(seed: int, originals: list[bytes]) -> tuple[str, bytes]:
    """A mutated file and the names of what was done to it; the same for the same seed."""
    rng = random.Random(seed)
    data, names = rng.choice(originals), []
    for mutation in rng.choices(MUTATIONS, k=rng.choice((1, 1, 2, 3))):
        try:
            data = mutation(rng, data) or b"<"
        except UnicodeDecodeError:  # an earlier mutation left no text to encode again
            continue
        names.append(mutation.__name__)
    return " ".join(names), data


def own_files(folder: Path) -> list[bytes]:
    """Small files to mutate: from the writer, with lists of results, and with counters of a vendor."""
    rng = np.random.default_rng(7)
    shape = (3, 2)
    trace = Trace(
        source="fuzz",
        cells=make_cells(["a", "b", "c"], site_id=["s", "s", "t"]),
        start=np.datetime64("2022-04-18T19:00:00"),
        step_s=900,
        time_zone="UTC",
        dl_prb_ratio=rng.random(shape, np.float32),
        ul_prb_ratio=rng.random(shape, np.float32),
        dl_volume_bit=rng.random(shape, np.float32) * np.float32(1e9),
        active_users=rng.random(shape, np.float32),
        site_energy=SiteEnergy(np.array(["s", "t"]), rng.random((2, 2), np.float32), "Wh"),
    )
    files = [path.read_bytes() for path in write_pm(trace, folder)]
    return [*files, *(path.read_bytes() for path in sorted(OWN.glob("*.xml")))]


class HangError(BaseException):
    """Raised by the alarm; no handler of ours catches it."""


def _alarm(*_: object) -> None:
    raise HangError


def outcome(path: Path, good: Path | None) -> str:
    """What reading a file, beside a good one if given, comes to: "read", "refused" or what went wrong."""
    signal.signal(signal.SIGALRM, _alarm)
    signal.alarm(LIMIT_S)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            read_pm([good, path] if good and looks_like_pm(path) else [path])
    except TraceError:
        return "refused"
    except HangError:
        return f"no end within {LIMIT_S} s"
    except Exception as error:  # any other error is what this is looking for
        return f"{type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
    return "read"


def run(seeds: Iterable[int], real: list[bytes]) -> tuple[dict[str, int], list[str]]:
    """Read one mutated file per seed, every other one beside a good file. Returns outcomes and failures."""
    counts = {"read": 0, "refused": 0}
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        own = own_files(Path(folder) / "own")
        good, path = Path(folder) / "good.xml", Path(folder) / "mutated.xml"
        good.write_bytes(own[0])
        for seed in seeds:
            names, data = mutated(seed, real if real and seed % REAL_EVERY == 0 else own)
            path.write_bytes(data)
            result = outcome(path, good if seed % 2 else None)
            if result in counts:
                counts[result] += 1
            else:
                failures.append(f"seed {seed} ({names}): {result}")
    return counts, failures


def main() -> None:
    began = time.perf_counter()
    real = [path.read_bytes() for path in sorted((_DATA.parent / "pm_samples").glob("*.xml"))]
    counts, failures = run(range(N_FILES), real)
    print("\n".join(failures), file=sys.stderr)
    n_real = N_FILES // REAL_EVERY if real else 0
    conditions = (
        f"{N_FILES} mutated files, {n_real} of them real, {counts['read']} read, {counts['refused']} refused,"
        f" limit {LIMIT_S} s per file, {time.perf_counter() - began:.0f} s in all"
    )
    row = {"name": "pm_fuzz_crashes_or_hangs", "value": len(failures), "unit": "files", "ours": len(failures)}
    row |= {"peer": None, "ratio": None, "conditions": conditions, "op": "<=", "bar": 0}
    print(json.dumps(row))


if __name__ == "__main__":
    main()
