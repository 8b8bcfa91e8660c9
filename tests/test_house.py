"""Rules of the house that no other tool checks; see CONTRIBUTING.md."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("controller", "policies", "hw", "traces")
FOLDERS = (*ROOMS, "proto", "tests", "benchmarks", "docs", ".ci", ".github")
TOP_SUFFIXES = (".md", ".toml", ".yaml")
# Top folders in which a checkout may stand although other paths of the project begin with their names.
COMMON_PARENTS = {Path(p) for p in ("/", "/home", "/opt", "/root", "/srv", "/tmp", "/usr", "/var")}
REGISTRY_HOSTS = (
    "py" + "pi.org",
    "python" + "hosted.org",
    "ana" + "conda.org",
    "conda" + ".io",
    "npm" + "js",
)
MAX_LINES = 300
MAX_LINES_WITH_REASON = 400  # also the limit of tests and benchmarks
LONG_FOR_A_REASON: dict[str, str] = {}  # file -> why it is better whole than in two
MAX_BYTES = 800 * 1024
YAML_READERS = {"controller/strict_yaml.py", "traces/pm/mapping.py"}  # docs/decisions/0004


@cache
def _files() -> tuple[Path, ...]:
    """Every file that belongs to the project; caches, reports and stray files at the top are left out."""
    top = [p for p in ROOT.iterdir() if p.suffix in TOP_SUFFIXES or p.name in ("Makefile", "LICENSE")]
    below = [p for folder in FOLDERS for p in (ROOT / folder).rglob("*") if p.is_file()]
    return tuple(sorted(p for p in top + below if "__pycache__" not in p.parts and "_pb2" not in p.name))


def _relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _text(path: Path) -> str | None:
    """The text of a file, None if it is not text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def _python(*folders: str) -> list[Path]:
    return [p for p in _files() if p.suffix == ".py" and _relative(p).startswith(folders)]


def _imported(nodes: list[ast.AST]) -> set[str]:
    """Top-level names of everything that a file imports."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", _python(*ROOMS), ids=_relative)
def test_rooms_postpone_annotations_and_leave_yaml_to_its_readers(path: Path) -> None:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    if any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.AnnAssign) for node in nodes):
        futures = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
        assert futures, f"{_relative(path)} needs 'from __future__ import annotations'"
    if "yaml" in _imported(nodes):
        assert _relative(path) in YAML_READERS, f"{_relative(path)} reads yaml; use controller.strict_yaml"


def test_files_are_short() -> None:
    allowed = {_relative(p): MAX_LINES for p in _python(*ROOMS)}
    allowed |= dict.fromkeys(LONG_FOR_A_REASON, MAX_LINES_WITH_REASON)
    allowed |= {_relative(p): MAX_LINES_WITH_REASON for p in _python("tests", "benchmarks")}
    lines = {name: len((ROOT / name).read_text(encoding="utf-8").splitlines()) for name in allowed}
    too_long = {name: count for name, count in lines.items() if count > allowed[name]}
    assert not too_long, "split these, or say in LONG_FOR_A_REASON why a file is better whole"
    assert [name for name in LONG_FOR_A_REASON if lines[name] <= MAX_LINES] == [], "no reason needed any more"


def test_files_are_small() -> None:
    assert [_relative(p) for p in _files() if p.stat().st_size > MAX_BYTES] == []


def test_no_file_names_a_package_registry() -> None:
    hosts = re.compile("|".join(re.escape(host) for host in REGISTRY_HOSTS), re.IGNORECASE)
    assert [_relative(p) for p in _files() if (text := _text(p)) and hosts.search(text)] == []


def test_no_file_names_a_path_of_this_machine() -> None:
    parent = ROOT.parent
    if parent in COMMON_PARENTS or parent == Path(tempfile.gettempdir()):
        pytest.skip(f"the checkout stands in {parent}, a name that other paths share")
    path = re.compile(r"(?<![\w.~-])" + re.escape(f"{parent.as_posix()}/"))
    assert [_relative(p) for p in _files() if (text := _text(p)) and path.search(text)] == []


def test_decisions_are_numbered_and_dated() -> None:
    records = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [p.name[:4] for p in records] == [f"{i:04d}" for i in range(1, len(records) + 1)]
    for record in records:
        title, _, dated = record.read_text(encoding="utf-8").split("\n")[:3]
        assert title.startswith(f"# {record.name[:4]} ")
        assert re.match(r"Date: \d{4}-\d{2}-\d{2}", dated), f"{record.name} needs 'Date: ...' in line 3"


def test_glossary_is_alphabetical() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    words = [
        line.split("|")[1].strip().strip("`").lower() for line in text.splitlines() if line.startswith("| ")
    ]
    words = [word for word in words if word != "word"]
    assert len(words) > 30
    assert words == sorted(words)


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{_relative(page)}: {target}"
        for page in _files()
        if page.suffix == ".md"
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_OPEN = '''
def a():
    """Says much."""
def b(): ...
async def c(): pass
def d():
    raise NotImplementedError("later")
class K:
    def e(self): pass
x = 1  # TO{}DO: more
'''
_CLOSED = """
import abc, typing
class P(typing.Protocol[int]):
    def a(self): ...
class B(abc.ABC):
    @abc.abstractmethod
    def b(self): ...
@typing.overload
def c(x: int): ...
def d():
    return None
def e(): raise ValueError
s = "TO{}DO"
"""


def test_stub_check_finds_what_is_open_and_nothing_else() -> None:
    stub_check = _load("stub_check")
    found = [complaint for _, complaint in stub_check.open_ends(_OPEN.format(""))]
    assert [word for word in "abcde" if f"function {word} is empty" in found] == list("abcde")
    assert len(found) == 6
    assert list(stub_check.open_ends(_CLOSED.format(""))) == []


def test_nothing_in_the_project_is_left_open(capsys: pytest.CaptureFixture[str]) -> None:
    assert _load("stub_check").main(ROOT) == 0, capsys.readouterr().out


def test_report_check_refuses_what_is_no_report() -> None:
    report_check = _load("report_check")
    report = dict.fromkeys(report_check.FIELDS, 0) | {
        "schema": "quietcell.report/1",
        "complete": True,
        "policies": {name: {} for name in report_check.ALWAYS},
    }
    assert report_check.problems(json.dumps(report)) == []
    for broken in ({"schema": "x"}, {"complete": False}, {"policies": {"none": {}, "oracle": {}}}):
        assert report_check.problems(json.dumps(report | broken))
    for text in ("", "NaN", "{}{}", 'progress\n{"schema": 1}'):
        with pytest.raises(ValueError, match=r"."):
            report_check.problems(text)


def test_the_command_line_starts_without_numba() -> None:
    code = "import sys, controller.cli; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
