"""Who may say what about which sites.

::

    observe  -> sees
    approve  -> also approves plans, makes overrides and takes sites down the ladder: all that is toward more service,
                or has a plan of the controller behind it
    act      -> also asks for the stages advise and canary, and for the end of overrides
    admin    -> also asks for the stage act, and clears the stop latch

A second person must be allowed the same. Whoever is not named may do nothing where names are given at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from controller.live.events import (
    Approved,
    CallRefused,
    Cleared,
    Lifted,
    Overridden,
    Scope,
    StageChanged,
    Word,
)
from controller.live.ladder import STAGES, Ladder, Stage
from controller.live.places import PlacesError

Name = Annotated[str, Field(min_length=1)]


class May(IntEnum):
    """What somebody may; a higher one may all of the lower."""

    NOTHING = 0
    OBSERVE = 1
    APPROVE = 2
    ACT = 3
    ADMIN = 4


MAY = {may.name.lower(): may for may in May if may}
BY_CERTIFICATE = {"controller": May.OBSERVE, "operator": May.APPROVE, "admin": May.ADMIN}


class RoleConfig(BaseModel):
    """What one identity may do, and where."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    who: Annotated[str, Field(pattern=r"^(controller|operator|admin)/[a-z0-9-]+$")]  # as in its certificate
    may: Annotated[str, Field(pattern=r"^(observe|approve|act|admin)$")]
    sites: tuple[Name, ...] = ()  # none and no regions: everywhere
    regions: tuple[Name, ...] = ()


class Roles:
    """What each identity may do. Only the certificate says who somebody is."""

    def __init__(self, roles: Sequence[RoleConfig]) -> None:
        self._roles = {role.who: role for role in roles}

    def refusal(self, who: str, word: Word | Cleared | None, ladder: Ladder) -> str:
        """Why somebody may not say a word, or not look where there is none; empty where he may."""
        role = self._roles.get(who)
        may = MAY[role.may] if role is not None else self._unnamed(who)
        needs = May.OBSERVE if word is None else _needs(word, ladder)
        if may < needs:
            return f"{who} may {may.name.lower()}; this needs {needs.name.lower()}"
        if role is None or word is None or not (role.sites or role.regions):
            return ""
        beyond = _sites(word, ladder) - self._reach(role, ladder)
        return f"{who} has nothing to say about site {min(beyond)}" if beyond else ""

    def _unnamed(self, who: str) -> May:
        return May.NOTHING if self._roles else BY_CERTIFICATE.get(who.partition("/")[0], May.NOTHING)

    def _reach(self, role: RoleConfig, ladder: Ladder) -> frozenset[str]:
        reach = frozenset(role.sites)
        for region in role.regions:
            reach |= ladder.places.sites(Scope("region", region))
        return reach


def _needs(word: Word | Cleared, ladder: Ladder) -> May:
    if isinstance(word, Cleared):
        return May.ADMIN
    if isinstance(word, StageChanged):
        stage = STAGES.get(word.stage, Stage.ACT)
        if stage is Stage.ACT:
            return May.ADMIN
        try:
            raises = bool((ladder.stage[ladder.places.cells(word.scope)] < stage).any())
        except PlacesError:
            raises = True
        return May.ACT if raises else May.APPROVE
    return May.ACT if isinstance(word, Lifted) else May.APPROVE


def _sites(word: Word | Cleared, ladder: Ladder) -> frozenset[str]:
    """Sites that a word touches; those of a place that is not there: none, as the ladder refuses it."""
    scope: Scope | None = None
    if isinstance(word, Approved | Overridden | StageChanged):
        scope = word.scope
    elif isinstance(word, Lifted):
        scope = next((one.said.scope for one in ladder.overrides if one.number == word.number), None)
    elif isinstance(word, Cleared):
        scope = Scope("network")
    elif not isinstance(word, CallRefused):
        raise TypeError(word)
    try:
        return frozenset() if scope is None else ladder.places.sites(scope)
    except PlacesError:
        return frozenset()
