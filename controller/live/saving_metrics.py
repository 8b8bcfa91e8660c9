"""Metrics of what acting saves in the network, as it was told last."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge

from hw.adapters.control import Estimate, SavingsStatus

J_PER_WH = 3600.0
WAYS = ("combined", "by_controls", "by_baseline")  # of telling a saving
BOUNDS = ("value", "low", "high")


class SavingMetrics:
    """Without a saving until one can be told."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"quietcell_saving_{name}", text, labels, registry=registry)

        self._saved = gauge("ratio", "Share of energy saved where cells might rest.", "way", "bound")
        self._net = gauge("net_ratio", "The same, the controller's own energy counted as drawn.", "bound")
        self._drawn = gauge("energy_joules", "Energy drawn where cells might rest, in the same ticks.")
        self._users = gauge("users_ratio", "User throughput of canaries against controls, less 1.")
        self._gain = gauge("efficiency_gain_ratio", "Bits per joule against the history, less 1.")

    def saved(self, told: SavingsStatus) -> None:
        """Savings as they were told last."""
        for row in told.rows[:1]:
            for way in WAYS:
                found: Estimate = getattr(row, way)
                for bound in BOUNDS:
                    self._saved.labels(way, bound).set(getattr(found, bound))
            self._drawn.set(row.energy_wh * J_PER_WH)
            self._users.set(row.users_ratio)
            self._gain.set(row.efficiency_gain)
        if told.own is not None:
            for bound in BOUNDS:
                self._net.labels(bound).set(getattr(told.own.net, bound))
