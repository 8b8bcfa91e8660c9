"""What a run of the controller depends on beside its inputs: two runs alike in all of it decide alike, bit for bit."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

ROOMS = ("controller", "hw", "policies", "traces")
CODE = (".py", ".yaml")
VECTORS = (
    "avx",
    "avx2",
    "fma",
    "avx512f",
    "asimd",
    "sve",
)  # instructions by which results may differ in the last bit


@dataclass(frozen=True, slots=True)
class Identity:
    """What decisions follow from, with the events."""

    config: str  # the configuration, as JSON
    files: dict[str, str]  # SHA-256 of each path that it names: model, cells, profile; empty: not there
    seed: int
    code_version: str
    code_sha256: str
    numpy: str
    numba: str
    cpu: str

    def to_json(self) -> str:
        """As a JSON object."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Identity:
        """From ``to_json``."""
        return cls(**json.loads(text))

    def differences(self, now: Identity) -> Iterator[tuple[str, str, str]]:
        """What differs: its name, what it is here, what it is there."""
        for name in ("config", "seed", "code_version", "code_sha256", "numpy", "numba", "cpu"):
            then, other = str(getattr(self, name)), str(getattr(now, name))
            if then != other:
                yield (
                    (name, _sha256(then.encode()), _sha256(other.encode()))
                    if name == "config"
                    else (name, then, other)
                )
        for name in sorted({*self.files, *now.files}):
            then, other = self.files.get(name, ""), now.files.get(name, "")
            if then != other:
                yield f"file {name}", then, other


def identify(config: str, files: Iterable[Path], seed: int) -> Identity:
    """The identity of this process with a configuration and the files and folders that it names."""
    hashes = {str(path): _sha256_at(path) for path in files}
    return Identity(
        config,
        hashes,
        seed,
        version("quietcell"),
        code_sha256(),
        version("numpy"),
        version("numba"),
        cpu_family(),
    )


def _sha256_at(path: Path) -> str:
    """Of a file, or of all files of a folder with their names; empty where there is neither."""
    if path.is_file():
        return _sha256(path.read_bytes())
    if not path.is_dir():
        return ""
    found = sorted(p for p in path.rglob("*") if p.is_file())
    return _sha256("".join(f"{p.relative_to(path)} {_sha256(p.read_bytes())}\n" for p in found).encode())


@cache
def code_sha256() -> str:
    """SHA-256 over our own code and the catalogues beside it."""
    root, sha = Path(__file__).resolve().parents[2], hashlib.sha256()
    found = [p for room in ROOMS for p in (root / room).rglob("*") if p.suffix in CODE]
    for path in sorted(found):
        sha.update(f"{path.relative_to(root).as_posix()}\n".encode())
        sha.update(hashlib.sha256(path.read_bytes()).digest())
    return sha.hexdigest()


@cache
def cpu_family() -> str:
    """Architecture, maker, family, model and vector instructions of the processor, as far as it says."""
    words = {"machine": platform.machine()}
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    for line in text.partition("\n\n")[0].splitlines():
        name, _, value = line.partition(":")
        words[name.strip()] = value.strip()
    flags = words.get("flags", words.get("Features", "")).split()
    parts = [words.get(name, "") for name in ("machine", "vendor_id", "cpu family", "model")]
    return " ".join([p for p in parts if p] + [v for v in VECTORS if v in flags])


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
