"""Rectifier modules in parallel: what they draw for what they give, and how many of them work."""

from __future__ import annotations

import math

from numba import njit

ROUNDING = 1e-9  # that does not need one more module


@njit(cache=True, error_model="numpy")
def rectifier_loss_w(site, out_w, working):  # type: ignore[no-untyped-def]
    """Loss of all modules while ``working`` of them share ``out_w``. [W]"""
    share = out_w / (working * site.module_w)
    of_one = site.standby_share + share * (site.linear_share + site.quadratic_share * share)
    return working * site.module_w * of_one + (site.modules - working) * site.resting_w


@njit(cache=True, error_model="numpy")
def rectifier_in_w(site, out_w, working):  # type: ignore[no-untyped-def]
    """AC power that all modules draw to give ``out_w``. [W]

    The characteristic of the AC side, on its own and not as output plus loss, so that the balance can tell them apart.
    """
    scale = working * site.module_w
    quadratic = site.quadratic_share / scale
    linear = 1 + site.linear_share
    fixed = scale * site.standby_share + (site.modules - working) * site.resting_w
    return fixed + out_w * (linear + quadratic * out_w)


@njit(cache=True, error_model="numpy")
def rectifier_out_at_w(site, in_w, working):  # type: ignore[no-untyped-def]
    """Highest DC power of ``working`` modules for which all draw no more than ``in_w``. [W]"""
    scale = working * site.module_w
    left_w = in_w - scale * site.standby_share - (site.modules - working) * site.resting_w
    if not left_w > 0:
        return 0.0
    linear, quadratic = 1 + site.linear_share, site.quadratic_share / scale
    out_w = 2 * left_w / (linear + math.sqrt(linear * linear + 4 * quadratic * left_w))
    return min(out_w, scale)


@njit(cache=True, error_model="numpy")
def modules_wanted(site, out_w, working):  # type: ignore[no-untyped-def]
    """How many modules should work for ``out_w``: those with the least loss, but the spare ones at least.

    m modules lose less than m + 1 up to ``out_w**2 == m * (m + 1) * site.even_loss_w2``. Looks from ``working`` on,
    which is nearly always the answer; the answer does not depend on it.
    """
    if not site.hibernates:
        return site.modules
    found = working
    while found > 1 and out_w * out_w <= (found - 1) * found * site.even_loss_w2:
        found -= 1
    while found < site.modules and out_w * out_w > found * (found + 1) * site.even_loss_w2:
        found += 1
    found = max(found, site.spare_modules + 1)
    while found < site.modules and out_w > (found - site.spare_modules) * site.module_w * (1 + ROUNDING):
        found += 1
    return min(found, site.modules)
