"""Rectifier modules in parallel: what they draw for what they give, and how many of them work."""

from __future__ import annotations

import math

from numba import njit

FULL_MODULE = 1e-9  # rounding that does not need one more module


@njit(cache=True)
def rectifier_loss_w(site, out_w, working):  # type: ignore[no-untyped-def]
    """Loss of all modules while ``working`` of them share ``out_w``. [W]"""
    share = out_w / (working * site.module_w)
    of_one = site.standby_share + share * (site.linear_share + site.quadratic_share * share)
    return working * site.module_w * of_one + (site.modules - working) * site.resting_w


@njit(cache=True)
def rectifier_in_w(site, out_w, working):  # type: ignore[no-untyped-def]
    """AC power that all modules draw to give ``out_w``. [W]

    The characteristic of the AC side, on its own and not as output plus loss, so that the balance can tell them apart.
    """
    scale = working * site.module_w
    quadratic = site.quadratic_share / scale
    linear = 1 + site.linear_share
    fixed = scale * site.standby_share + (site.modules - working) * site.resting_w
    return fixed + out_w * (linear + quadratic * out_w)


@njit(cache=True)
def rectifier_out_at_w(site, in_w, working):  # type: ignore[no-untyped-def]
    """Highest DC power of ``working`` modules for which all draw no more than ``in_w``. [W]"""
    scale = working * site.module_w
    left_w = in_w - scale * site.standby_share - (site.modules - working) * site.resting_w
    if not left_w > 0:
        return 0.0
    linear, quadratic = 1 + site.linear_share, site.quadratic_share / scale
    out_w = 2 * left_w / (linear + math.sqrt(linear * linear + 4 * quadratic * left_w))
    return min(out_w, scale)


@njit(cache=True)
def modules_wanted(site, out_w):  # type: ignore[no-untyped-def]
    """How many modules should work for ``out_w``: those with the least loss, but the spare ones at least."""
    modules = int(site.modules)
    if not site.hibernates:
        return modules
    needed = math.ceil(out_w / site.module_w - FULL_MODULE)
    fewest = min(max(needed, 1) + int(site.spare_modules), modules)
    saved = site.standby_share - site.resting_w / site.module_w  # by resting one, load apart
    if saved <= 0:
        return modules
    # the loss is convex in their number; it is least beside out * sqrt(quadratic / saved)
    best = min(int(out_w / site.module_w * math.sqrt(site.quadratic_share / saved)), modules)
    low = max(best, fewest)
    high = min(low + 1, modules)
    if best >= fewest and rectifier_loss_w(site, out_w, high) < rectifier_loss_w(site, out_w, low):
        return high
    return low
