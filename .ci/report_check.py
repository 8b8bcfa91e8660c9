"""Checks that a file is one JSON document that keeps the outline of the quietcell.report/1 contract."""

from __future__ import annotations

import json
import sys
from pathlib import Path

FIELDS = {"schema", "complete", "trace", "world", "world_parameters", "seed", "limits", "policies"}
ALWAYS = {"none", "symbol", "oracle"}


def _refuse(token: str) -> None:
    raise ValueError(f"{token} is no JSON number")


def problems(text: str) -> list[str]:
    """What is wrong with a report, one sentence each. Raises ValueError if it is not one JSON document."""
    report = json.loads(text, parse_constant=_refuse)
    if not isinstance(report, dict):
        return ["the document is no object"]
    found = [f"field {name} is missing" for name in sorted(FIELDS - report.keys())]
    if report.get("schema") != "quietcell.report/1":
        found.append(f"schema is {report.get('schema')!r}")
    if report.get("complete") is not True:
        found.append(f"complete is {report.get('complete')!r}")
    return found + [
        f"policy {name} is missing" for name in sorted(ALWAYS - report.get("policies", {}).keys())
    ]


if __name__ == "__main__":
    complaints = problems(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print("\n".join(complaints) or "standard output is one JSON document of schema quietcell.report/1")
    sys.exit(bool(complaints))
