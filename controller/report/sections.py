"""The parts of the page that need no script: headline, assumptions and tables, as escaped HTML."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape as escaped

from controller.report.assumed import assumptions
from controller.report.words import (
    FIGURE,
    POLICY_MEANING,
    UNDEFINED,
    Figure,
    Report,
    applicable,
    figure_text,
    flat,
    headline_policy,
    level_label,
    levels_used,
    limits_missed,
    not_applicable,
    percent,
    small_share,
    undefined_figures,
)

MAIN = (
    "ee_gain_vs_none",
    "energy_saved_vs_none",
    "captured_share",
    "captured_share_beyond_symbol",
    "unserved_share",
    "below_target_share",
    "cells_over_limit_share",
    "level_changes_per_cell_day",
)
FURTHER = (
    "worst_cell_unserved_share",
    "throughput_loss_mean",
    "added_latency_ms_p95",
    "emergency_wakes_per_cell_day",
    "alarms",
    "wall_s",
)
Extra = dict[str, Callable[[Report], str]]  # heading of a column -> its text for a policy
IN_WATTS = ("energy_kwh", "money_per_year", "co2_kg_per_year")


def escape(text: str) -> str:
    """Text as HTML, with the percent sign kept on the line of its number."""
    return escaped(text).replace(" %", "\u00a0%")


def headline(report: Report) -> str:
    """What was missed, in red and first; then gain, saving, capture and service of one policy."""
    parts = [] if report.get("complete", True) else [_partial()]
    missed = limits_missed(report)
    if missed:
        items = (_missed(name, report["policies"][name], what) for name, what in missed.items())
        parts.append(
            f'<div class="alarm" role="alert"><h2>Service limits missed</h2><ul>{"".join(items)}</ul></div>'
        )
    name = headline_policy(report)
    if name is not None:
        parts.append(_cards(report, name))
    return "".join(parts)


def _missed(name: str, policy: Report, what: list[str]) -> str:
    saved = escape(figure_text(policy, "energy_saved_vs_none"))
    return (
        f"<li><strong>{escape(name)}</strong> saves {saved} of the energy only outside the limits: "
        f"{escape('; '.join(what))}.</li>"
    )


def _partial() -> str:
    return (
        '<div class="caution" role="alert"><h2>Partial report</h2>'
        "<p>The run was stopped before its end. Figures cover only what was done until then.</p></div>"
    )


def _cards(report: Report, name: str) -> str:
    policy, limits = report["policies"][name], report["limits"]
    held = policy.get("limits_held") is not False
    service = ", ".join(
        f"{FIGURE[key].label.lower()} {figure_text(policy, key)} (limit {small_share(limits[key])})"
        for key in ("unserved_share", "below_target_share")
    )
    capture = (
        "of what perfect foresight saves under the same rules; "
        f"beyond symbol shutdown {figure_text(policy, 'captured_share_beyond_symbol')}"
    )
    cards = (
        (
            "Energy-efficiency gain",
            figure_text(policy, "ee_gain_vs_none"),
            "served bits per joule, against none",
        ),
        ("Energy saved", figure_text(policy, "energy_saved_vs_none"), "joules not spent, against none"),
        ("Captured", figure_text(policy, "captured_share"), capture),
        ("Service limits", "held" if held else "missed", service),
    )
    body = "".join(
        f"<div><dt>{title}</dt><dd><b>{escape(value)}</b><span>{escape(note)}</span></dd></div>"
        for title, value, note in cards
    )
    guard = (
        "with a guard that may wake cells in any minute"
        if policy.get("guard")
        else "planning alone, without guard"
    )
    meaning = POLICY_MEANING.get(name)
    about = f"{meaning}; {guard}" if meaning else guard
    kind = "headline" if held else "headline missed"
    return (
        f'<div class="{kind}"><p><strong>{escape(name)}</strong>: {escape(about)}. '
        f"The baseline is <strong>none</strong>: every cell fully awake.</p><dl>{body}</dl></div>"
    )


def assumed(report: Report) -> str:
    """The assumptions by subject, and every parameter of the world."""
    subjects = "".join(
        f"<section><h3>{escape(subject)}</h3><ul>{_items(sentences)}</ul></section>"
        for subject, sentences in assumptions(report)
    )
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in flat(report.get("world_parameters", {}))
    )
    parameters = (
        f'<details><summary>All parameters of the world</summary><div class="scroll" tabindex="0">'
        f'<table class="parameters"><tbody>{rows}</tbody></table></div></details>'
    )
    return f'<div class="subjects">{subjects}</div>{parameters if rows else ""}'


def policies(report: Report) -> str:
    """The main and the further figures of all policies, and what is undefined or did not run."""
    further = _table(report, FURTHER, "Further figures", extra={"Guard": _guard, "Bound gap": _bound_gap})
    notes = [
        *undefined_figures(report),
        *(f"{n} does not apply: {why}" for n, why in not_applicable(report).items()),
    ]
    return (
        _table(report, MAIN, "Policies against none", extra={"Limits": _verdict})
        + f"<details><summary>Further figures</summary>{further}</details>"
        + f"<details><summary>What the columns mean</summary>{_meanings()}</details>"
        + (f'<ul class="notes">{_items(notes)}</ul>' if notes else "")
    )


def energy(report: Report) -> str:
    """Energy in the unit of the trace and, where W is known, in kWh, money and CO2."""
    ran = applicable(report)
    known = tuple(key for key in IN_WATTS if any(policy.get(key) is not None for policy in ran.values()))
    units = sorted({str(policy["energy_unit"]) for policy in ran.values() if policy.get("energy_unit")})
    table = _table(report, ("energy", *known, "energy_saved_vs_none"), "Energy by policy", extra={})
    unit = escape(", ".join(units) or "an unnamed unit")
    missing = "" if known else "<p>Watts are not known in this world, so there is no kWh, money or CO2.</p>"
    return f"<p>Energy is in {unit}, over the scored cell-time.</p>{table}{missing}"


def level_shares(report: Report) -> str:
    """Share of scored cell-time at each level, as a table."""
    ran = applicable(report)
    levels = levels_used(report)
    head = "".join(f'<th scope="col">{escape(level_label(level))}</th>' for level in levels)
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{_share_of(policy, level)}</td>" for level in levels)
        + "</tr>"
        for name, policy in ran.items()
    )
    return framed("Share of scored cell-time at each level", f'<th scope="col">Policy</th>{head}', rows)


def _share_of(policy: Report, level: str) -> str:
    share = (policy.get("level_share") or {}).get(level)
    return UNDEFINED if share is None else percent(share)


def _table(report: Report, keys: Iterable[str], caption: str, extra: Extra) -> str:
    figures = [FIGURE[key] for key in keys]
    head = "".join(
        f'<th scope="col">{escape(label)}</th>' for label in [f.label for f in figures] + list(extra)
    )
    rows = "".join(_row(name, policy, figures, extra) for name, policy in applicable(report).items())
    return framed(caption, f'<th scope="col">Policy</th>{head}', rows)


def framed(caption: str, head: str, rows: str) -> str:
    """A table that scrolls sideways by itself; head and rows are HTML."""
    title = escape(caption)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{title}">'
        f"<table><caption>{title}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(name: str, policy: Report, figures: Iterable[Figure], extra: Extra) -> str:
    later = policy.get("after_48h") or {}
    cells = "".join(f"<td>{escape(figure_text(policy, f.name))}{_later(later, f.name)}</td>" for f in figures)
    cells += "".join(f"<td>{text(policy)}</td>" for text in extra.values())
    meaning = f"<small>{escape(POLICY_MEANING[name])}</small>" if name in POLICY_MEANING else ""
    style = ' class="missed"' if policy.get("limits_held") is False else ""
    return f'<tr{style}><th scope="row">{escape(name)}{meaning}</th>{cells}</tr>'


def _later(later: Report, name: str) -> str:
    return "" if later.get(name) is None else f"<small>{escape(figure_text(later, name))}</small>"


def _verdict(policy: Report) -> str:
    held = policy.get("limits_held")
    return "<b>missed</b>" if held is False else "held" if held else UNDEFINED


def _guard(policy: Report) -> str:
    return "yes" if policy.get("guard") else "no"


def _bound_gap(policy: Report) -> str:
    gap = policy.get("bound_gap")
    return "" if gap is None else small_share(gap)


def _meanings() -> str:
    figures = (FIGURE[key] for key in (*MAIN, *FURTHER))
    items = "".join(f"<div><dt>{escape(f.label)}</dt><dd>{escape(f.meaning)}</dd></div>" for f in figures)
    return f'<dl class="meanings">{items}</dl>'


def _items(sentences: Iterable[str]) -> str:
    return "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
