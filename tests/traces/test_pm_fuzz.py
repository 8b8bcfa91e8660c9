from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "pm_fuzz.py"


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pm_fuzz", BENCHMARK)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["pm_fuzz"] = module
    spec.loader.exec_module(module)
    return module


def test_mutated_files_are_read_or_refused(fuzz: ModuleType) -> None:
    """Seeds that the benchmark does not use."""
    counts, failures = fuzz.run(range(1_000_000, 1_000_600), [])
    assert not failures
    assert min(counts.values()) > 100, "mutations must leave enough files readable, and break enough"


def test_mutations_follow_from_the_seed(fuzz: ModuleType, tmp_path: Path) -> None:
    own = fuzz.own_files(tmp_path / "own")
    assert [fuzz.mutated(seed, own) for seed in range(50)] == [fuzz.mutated(seed, own) for seed in range(50)]
