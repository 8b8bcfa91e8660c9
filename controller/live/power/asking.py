"""What the plans of small groups of sites ask, answered from what is known of all sites: Expect and Duties."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from controller.live.power.fleet import Float64, Sites
from controller.live.power.inputs import Inputs
from controller.site.comparison import SCENARIOS
from controller.site.expectation import OutlookExpect
from controller.site.outlook_days import SiteCalendar
from controller.site.scene import SiteScene
from hw.power.view import View
from policies.site.ahead import Duty, Expected

T = TypeVar("T", bound=tuple[Any, ...])


class Held(NamedTuple):
    """What holds of each site at a moment. (n,)"""

    floor_wh: Float64  # the controller's own reserve, or the agent's where that is higher
    import_cap_w: Float64  # of the connection


class Seen:
    """What plans may know at a planning interval."""

    def __init__(self, inputs: Inputs, scene: SiteScene, calendar: SiteCalendar, held: Held) -> None:
        self.inputs, self.held, self._scene, self._calendar = inputs, held, scene, calendar
        self._ahead: dict[tuple[int, int], Expected] = {}

    def ahead(self, step: int, n_steps: int) -> Expected:
        """The coming steps of all sites. (n, n_steps)"""
        key = step, n_steps
        if key not in self._ahead:
            self._ahead[key] = self._outlook(self._scene).ahead(step, n_steps)
        return self._ahead[key]

    def scenarios(self, sites: Sites, step: int, n_steps: int) -> tuple[Expected, int]:
        """Courses of some sites, drawn from the recent days. (k x count, n_steps)"""
        return self._outlook(self._scene.take(sites)).scenarios(step, n_steps)

    def _outlook(self, scene: SiteScene) -> OutlookExpect:
        return OutlookExpect(scene, self._calendar, count=SCENARIOS, seed=self.inputs.seed)


class HasSeen(Protocol):
    """Whoever knows."""

    def seen(self) -> Seen:
        """What plans may know now."""
        ...


class GroupAsks:
    """Expect and Duties of policies/site/dispatch.py, for some sites."""

    def __init__(self, whole: HasSeen, sites: Sites) -> None:
        self._whole, self._sites = whole, sites

    def ahead(self, step: int, n_steps: int) -> Expected:
        """The coming steps as expected from what was measured. (k, n_steps)"""
        return taken(self._whole.seen().ahead(step, n_steps), self._sites)

    def scenarios(self, step: int, n_steps: int) -> tuple[Expected, int]:
        """Possible courses, those of a site next to each other. (k x count, n_steps)"""
        return self._whole.seen().scenarios(self._sites, step, n_steps)

    def duty(self, step: int, n_steps: int, view: View) -> Duty:  # noqa: ARG002  # one floor holds for all steps
        """The reserve of now, for all steps ahead."""
        held, inputs, sites = self._whole.seen().held, self._whole.seen().inputs, self._sites
        floor_wh = np.minimum(held.floor_wh[sites], view.capacity_wh)
        shape = (len(sites), n_steps)
        return Duty(
            floor_wh=np.repeat(floor_wh[:, None], n_steps + 1, axis=1),
            end_wh=floor_wh.copy(),
            end_price=np.zeros(len(sites)),
            cap_w=np.repeat(held.import_cap_w[sites][:, None], n_steps, axis=1),
            export_cap_w=inputs.export_cap_w[sites],
            event_w=np.full(shape, np.inf),
            event_price=np.zeros(shape),
        )


def taken(arrays: T, rows: Sites) -> T:
    """Every array of a named tuple for some rows."""
    return type(arrays)(*(array[rows] for array in arrays))
