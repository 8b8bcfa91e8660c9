"""The pack: what it can take and give now. What it stores is kept by the step itself."""

from __future__ import annotations

from numba import njit

from hw.power.tables import CHARGE_BY_SOC, DISCHARGE_BY_SOC, look_up

AT_LIMIT = 1e-6  # of the capacity: as good as full, empty or at a threshold


@njit(cache=True, error_model="numpy")
def stored_at_wh(site, health, usable_share, usable_soc):  # type: ignore[no-untyped-def]
    """Stored energy at a state of charge of the usable capacity: what the cold locks in lies below. [Wh]"""
    return site.rated_wh * health * (1 - usable_share + usable_share * usable_soc)


@njit(cache=True, error_model="numpy")
def charge_limit_w(site, tables, i, health, share_by_c, stored_wh, lost_w):  # type: ignore[no-untyped-def]
    """What the pack can take at the bus; a full one takes what it loses by itself, ``lost_w``. [W]"""
    capacity_wh = site.rated_wh * health
    by_soc = look_up(tables, i, CHARGE_BY_SOC, stored_wh / capacity_wh)
    limit_w = site.charge_rate * site.rated_wh * min(share_by_c, by_soc)
    if capacity_wh - stored_wh <= AT_LIMIT * capacity_wh:
        fresh = stored_wh <= (1 + AT_LIMIT) * capacity_wh  # not fuller than full because it has aged
        return min(limit_w, lost_w / site.charge_efficiency) if fresh else 0.0
    return limit_w


@njit(cache=True, error_model="numpy")
def discharge_limit_w(site, tables, i, health, share_by_c, stored_wh, cutoff_wh):  # type: ignore[no-untyped-def]
    """What the pack can give at the bus. [W]"""
    capacity_wh = site.rated_wh * health
    if stored_wh - cutoff_wh <= AT_LIMIT * capacity_wh:
        return 0.0
    by_soc = look_up(tables, i, DISCHARGE_BY_SOC, stored_wh / capacity_wh)
    return site.discharge_rate * site.rated_wh * min(share_by_c, by_soc)
