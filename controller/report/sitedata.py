"""What the page draws of site power: the courses of some sites over some days, and one row per site.

Figures carry the same names in ``report["site"]["policies"][policy]``, summed over the sites, and in
``SitePage.fleet[row]["policies"][policy]``, of one site. Money is in the tariff's currency; a figure that is undefined
is None with ``<name>_reason`` beside it, one that does not apply is absent. `controller.report.site_words`
has their words:

``bill``, ``energy_cost``, ``demand_cost``, ``event_cost``, ``wear_cost``, ``cost`` (bill and wear), ``saved_cost`` and
``saved_share`` (against ``idle``), ``captured_share`` (of the oracle's saving), ``peak_kw`` (highest of a site),
``import_kwh``, ``co2_kg``, ``co2_marginal_kg``, ``green_share``, ``cycles_per_year``, ``life_years`` (shortest of a
site), ``reserve_margin_kwh`` (least of a site, mains present), ``battery_max_c``, ``outages``, ``outages_carried``,
``outage_h``, ``outage_lost_h``, ``shed_kwh``, ``guard_interventions``, ``plan_gap``.

``report["site"]`` itself: ``currency``, ``tariff``, ``n_sites``, ``n_alarms`` (sites that raise any), ``complete``,
``notes`` (sentences), ``policies``; a policy that did not run is ``{"applicable": False, "reason": ...}``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_SITES = 12  # whose courses are kept; the fleet has a row for every site
MAX_DAYS = 14
SHARED = ("load_w", "pv_w", "import_price", "floor_wh", "battery_c", "outdoor_c")
PER_POLICY = ("charge_w", "discharge_w", "stored_wh", "import_w")


@dataclass(slots=True)
class SitePage:
    """Courses of S sites over T steps, and the figures of every site.

    ``series`` holds arrays of shape (S, T). Of all policies alike: ``load_w`` (meter import with an idle battery and no
    PV), ``pv_w`` (what the panels could give, at the meter), ``import_price`` (per kWh), ``floor_wh``, ``battery_c``,
    ``outdoor_c``, and if there are outages ``mains`` (1 present, 0 absent). Of policy p: ``charge_w/p`` and
    ``discharge_w/p`` (at the bus, both >= 0), ``stored_wh/p``, ``import_w/p``. Energies are those at the begin of a
    step, the rest is its mean. NaN where nothing is known; a series that is not known at all is left out.
    ``fleet`` has one row per site: ``site_id``, ``policies`` (policy -> figures as above) and, where there are any,
    ``alarms`` (sentences) and ``site_class`` (of backup).
    """

    site_id: list[str]  # the S sites whose courses are kept
    start: np.datetime64  # of the first step kept, UTC
    step_s: int
    time_zone: str  # one for the sites
    currency: str
    policy_names: list[str]
    day_first_step: int  # the step kept with which the first whole local day begins
    series: dict[str, NDArray[np.float32]]
    fleet: list[dict[str, Any]] = field(default_factory=list)
    series_note: str = ""  # says which sites and days were kept when not all were

    def __post_init__(self) -> None:
        """Raise ValueError if a series has not one row per site and one length, or is of a policy that is not named."""
        shapes = {array.shape for array in self.series.values()}
        if len(shapes) > 1 or any(len(shape) != 2 or shape[0] != len(self.site_id) for shape in shapes):
            raise ValueError(f"series must all be ({len(self.site_id)} sites, steps), not {sorted(shapes)}")
        known = {f"{name}/{policy}" for name in PER_POLICY for policy in self.policy_names}
        unknown = set(self.series) - known - {*SHARED, "mains"}
        if unknown:
            raise ValueError(f"no such series: {', '.join(sorted(unknown))}")

    @property
    def n_steps(self) -> int:
        """Steps kept, T."""
        return next((array.shape[1] for array in self.series.values()), 0)
