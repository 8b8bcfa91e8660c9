"""Names of measured objects: distinguished names of TS 32.300, and identifiers inside them."""

from __future__ import annotations

import re
from collections.abc import Iterable

_ESCAPED = re.compile(r"(?:\\[0-9A-Fa-f]{2})+")
_SPECIAL = frozenset(',=+"\\<>;#')


def full_name(element: str, ldn: str) -> str:
    """Full name of an object from the ``localDn`` of its network element and its ``measObjLdn``.

    A bare name of an element counts as ``ManagedElement=<name>``, or ``MeContext=<name>`` where the object
    has a ManagedElement of another name. What both names share is written once.
    """
    begins_anew = ldn.startswith("ManagedElement=")
    if element and "=" not in element:
        if ldn.partition(",")[0] == f"ManagedElement={element}":
            return ldn
        element = f"{'MeContext' if begins_anew else 'ManagedElement'}={element}"
    if not element or not ldn:
        return element or ldn
    above = element.split(",")
    first = ldn.partition(",")[0]
    if first in above:
        above = above[: above.index(first)]
    elif begins_anew and any(part.startswith("ManagedElement=") for part in above):
        above = []
    return ",".join([*above, ldn])


def group_of(patterns: Iterable[str], group: str, name: str) -> str:
    """The text of ``group`` in the first of ``patterns`` found in ``name``, unescaped; "" if none is."""
    for pattern in patterns:
        match = re.search(pattern, name)
        if match and match[group]:
            return unescape(match[group])
    return ""


def escape(identifier: str) -> str:
    r"""An identifier as a value in a distinguished name: special characters as ``\XX`` per byte of UTF-8."""
    return "".join(
        c if c.isprintable() and c not in _SPECIAL else "".join(f"\\{b:02X}" for b in c.encode())
        for c in identifier
    )


def unescape(value: str) -> str:
    """The inverse of ``escape``."""
    return _ESCAPED.sub(
        lambda m: bytes.fromhex(m[0].replace("\\", "")).decode("utf-8", "backslashreplace"), value
    )
