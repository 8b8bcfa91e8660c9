"""Writes the Python stubs of proto/ beside their .proto files; with --check says whether the committed ones are those.

Run with the development environment: ``.venv/bin/python .ci/stubs.py``.
"""

from __future__ import annotations

import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"


def generate(out: Path) -> None:
    """Write all stubs below ``out``."""
    sources = sorted(str(p.relative_to(PROTO)) for p in PROTO.rglob("*.proto"))
    plugin = Path(sys.executable).parent
    arguments = [
        "protoc",
        f"-I{PROTO}",
        f"-I{files('grpc_tools') / '_proto'}",
        f"--plugin=protoc-gen-mypy={plugin / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={plugin / 'protoc-gen-mypy_grpc'}",
        f"--python_out={out}",
        f"--grpc_python_out={out}",
        f"--mypy_out=quiet:{out}",
        f"--mypy_grpc_out=quiet:{out}",
        *sources,
    ]
    if protoc.main(arguments):
        sys.exit("protoc failed; the lines above say where")


def stubs_below(folder: Path) -> dict[str, str]:
    """Text of every stub by its path."""
    found = (p for p in folder.rglob("*_pb2*") if p.suffix in (".py", ".pyi"))
    return {p.relative_to(folder).as_posix(): p.read_text(encoding="utf-8") for p in found}


def main() -> None:
    """Write or check."""
    if "--check" not in sys.argv:
        generate(PROTO)
        return
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        fresh, committed = stubs_below(Path(scratch)), stubs_below(PROTO)
    stale = sorted(p for p in fresh.keys() | committed.keys() if fresh.get(p) != committed.get(p))
    if stale:
        sys.exit("stale stubs: " + ", ".join(stale) + "; write them with .venv/bin/python .ci/stubs.py")
    print(f"{len(fresh)} stubs are those of their contracts")


if __name__ == "__main__":
    main()
