"""Metrics for Prometheus: base units, and labels that a larger network does not multiply.

No label names a cell. With ``by_agent`` two gauges carry the agent; all else is labelled by level, reason, cause,
outcome, severity or kind of tick, each from a list that the code fixes. Values come in from the loop between two feeds;
a scrape reads them in a thread of its own and never touches the core.
"""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    start_http_server,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from controller.live.alarm_book import SEVERITIES, AlarmBook
from controller.live.events import (
    CLEARED,
    Alarm,
    Answered,
    Event,
    GuardTick,
    Output,
    PlanTick,
    Renewed,
    Reported,
    RolledBack,
    Woken,
)
from controller.live.fleet import UNKNOWN
from controller.live.looking import CoreState, level_counts
from controller.live.saving_metrics import SavingMetrics
from controller.live.site_metrics import SiteMetrics
from hw.adapters.control import SavingsStatus
from hw.adapters.radio import Outcome, RejectCause
from policies.policy import Reason

SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
LONGEST_GAP_S = 3600.0  # between guard ticks; over a longer one nobody knows at which level the cells were
KINDS = {GuardTick: "guard", PlanTick: "plan"}


class Metrics:
    """The metrics of a controller."""

    def __init__(self, level_names: Sequence[str], *, by_agent: bool) -> None:
        self.registry = registry = CollectorRegistry()
        self._levels = tuple(level_names)
        self._since_us: int | None = None  # of the state before
        ProcessCollector(registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"quietcell_{name}", text, labels, registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"quietcell_{name}", text, labels, registry=registry)

        def seconds(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(f"quietcell_{name}", text, labels, registry=registry, buckets=SECONDS)

        Info("quietcell_build", "Version of the controller.", registry=registry).info(
            {"version": version("quietcell")}
        )
        self.ready = gauge("ready", "1 while commands may be sent.")
        self._leads = gauge("leads", "1 unless a later leader was seen.")
        self._stopped = gauge("stop_latch", "1 while the stop latch of this controller is set.")
        self._epoch = gauge("leader_epoch", "Term of this leader.")
        self._cells = gauge("cells", "Cells by the level that is commanded.", "level")
        self._reported = gauge("cells_reported", "Cells by the level that their agents report.", "level")
        self._cells_without = gauge("cells_without_agent", "Cells that no connected agent has named.")
        self._stuck = gauge("cells_stuck", "Cells that are long at another level than commanded.")
        self._local = gauge("cells_local_control", "Cells that are switched or locked by hand.")
        self._cell_s = counter("cell_seconds", "Time of all cells at each reported level.", "level")
        self._leases = gauge("leases_active", "Leases that hold by this controller's count.")
        self._agents = gauge("agents", "Configured radio agents.")
        self._connected = gauge("agents_connected", "Agents with an open stream.")
        self._reconciled = gauge("agents_reconciled", "Agents whose state is accounted for.")
        self._silent = gauge("agents_silent", "Agents without reports or samples for too long.")
        self._agents_stopped = gauge("agents_stopped", "Agents whose stop latch is set.")
        self._reports = counter("reports", "Reports of agents.")
        self._set_aside = gauge("set_aside", "What agents sent and was not used, since the start.", "cause")
        self._sent = counter("commands_decided", "Cells commanded to a leased level.", "toward")
        self._answers = counter(
            "command_answers", "Answers of agents to commands and wakes.", "outcome", "cause"
        )
        self._wakes = counter("wakes", "Cells commanded to full service.", "reason")
        self._renewals = counter("renewals", "Renewals handed out.")
        self._renewal_answers = counter(
            "renewal_answers", "Answers of agents to renewals.", "outcome", "cause"
        )
        self._ticks = seconds("tick_duration_seconds", "Time to compute a tick.", "kind")
        self.tick_at = gauge("last_tick_timestamp_seconds", "When a tick was last carried out.", "kind")
        self._missed = counter("ticks_missed", "Ticks that were left out.", "kind")
        self._appends = seconds("journal_append_duration_seconds", "Time of an append, durable at its end.")
        self._failing = gauge("journal_failing", "1 while the journal cannot be written.")
        self._alarms = gauge("alarms", "Alarms that stand.", "severity")
        self._unacknowledged = gauge("alarms_unacknowledged", "Alarms that nobody has acknowledged.")
        self._raised = counter("alarms_raised", "Alarms that were raised.", "severity")
        self._rolled_back = counter("rollbacks", "Returns to full service for what users felt.", "scope")
        self._of_sites, self._of_savings = SiteMetrics(registry), SavingMetrics(registry)
        self._by_agent = by_agent
        if by_agent:
            self._agent_up = gauge("agent_connected", "1 while the agent has an open stream.", "agent")
            self._agent_leases = gauge("agent_leases_active", "Leases of an agent.", "agent")
        self._begin()

    def _begin(self) -> None:
        """Begin every usual series at 0: Prometheus sees no increase in one that begins with its first event."""
        for kind in KINDS.values():
            self._missed.labels(kind)
            self._ticks.labels(kind)
        for severity in SEVERITIES:
            self._raised.labels(severity)
        for scope in ("site", "all"):
            self._rolled_back.labels(scope)
        for answers in (self._answers, self._renewal_answers):
            for outcome in Outcome:
                answers.labels(*_named(outcome, RejectCause.NONE))
            for cause in RejectCause:
                answers.labels(*_named(Outcome.REJECTED, cause))

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Serve what ``value`` says at each scrape; it is called in another thread, so it may only read numbers."""
        Gauge(f"quietcell_{name}", text, registry=self.registry).set_function(value)

    def count(self, name: str, text: str, value: Callable[[], float]) -> None:
        """The same as a counter; ``value`` never falls."""
        self.registry.register(_Counted(f"quietcell_{name}", text, value))

    def fed(self, event: Event, output: Output, took_s: float) -> None:
        """An event was fed and its output carried out."""
        kind = KINDS.get(type(event))
        if kind is not None:
            self._ticks.labels(kind).observe(took_s)
            self.tick_at.labels(kind).set(time.time())
        elif isinstance(event, Reported):
            self._reports.inc()
        elif isinstance(event, Answered):
            answers = event.answers
            pairs = zip(answers.outcome.tolist(), answers.cause.tolist(), strict=False)
            for (outcome, cause), count in Tally(pairs).items():
                self._answers.labels(*_named(outcome, cause)).inc(count)
        elif isinstance(event, Renewed):
            self._renewal_answers.labels(*_named(event.answer.outcome, event.answer.cause)).inc()
        self._put_out(output)

    def _put_out(self, output: Output) -> None:
        for toward, batches in (("more", output.urgent), ("less", output.commands)):
            if batches:
                self._sent.labels(toward).inc(sum(len(batch.cell) for _, batch in batches))
        if output.renewals:
            self._renewals.inc(len(output.renewals))
        self._of_sites.put_out(output.durable)
        for record in output.durable:
            if isinstance(record, Woken):
                for reason, count in Tally(record.reason.tolist()).items():
                    self._wakes.labels(Reason(reason).name.lower()).inc(count)
            elif isinstance(record, Alarm) and record.severity != CLEARED:
                self._raised.labels(record.severity).inc()
            elif isinstance(record, RolledBack):
                self._rolled_back.labels("site" if record.site else "all").inc()

    def saw(self, state: CoreState) -> None:
        """The core as it is after a tick."""
        self._leads.set(state.leads)
        self._stopped.set(state.is_stopped)
        self._epoch.set(state.epoch)
        reported, commanded = (level_counts(x, len(self._levels)) for x in (state.reported, state.level))
        gap_s = 0.0 if self._since_us is None else (state.unix_us - self._since_us) / 1e6
        for i, name in enumerate((*self._levels, UNKNOWN)):
            self._cells.labels(name).set(commanded[i])
            self._reported.labels(name).set(reported[i])
            if 0 < gap_s <= LONGEST_GAP_S:
                self._cell_s.labels(name).inc(float(reported[i]) * gap_s)
        self._since_us = state.unix_us
        if state.sites is not None:
            self._of_sites.saw(state.sites)
        self._cells_without.set(int((state.agent_of < 0).sum()))
        self._stuck.set(int(state.is_stuck.sum()))
        self._local.set(int(state.is_local.sum()))
        self._leases.set(sum(agent.n_leases for agent in state.agents))
        self._agents.set(len(state.agents))
        self._connected.set(sum(agent.is_connected for agent in state.agents))
        self._reconciled.set(sum(agent.is_reconciled for agent in state.agents))
        self._silent.set(sum(agent.is_silent for agent in state.agents))
        self._agents_stopped.set(sum(agent.is_stopped for agent in state.agents))
        for cause, count in state.set_aside.items():
            self._set_aside.labels(cause).set(count)
        if self._by_agent:
            for agent in state.agents:
                self._agent_up.labels(agent.agent_id).set(agent.is_connected)
                self._agent_leases.labels(agent.agent_id).set(agent.n_leases)

    def stand(self, book: AlarmBook) -> None:
        """The alarms that stand."""
        standing = book.standing()
        counts = Tally(raised.severity for raised in standing)
        for severity in SEVERITIES:
            self._alarms.labels(severity).set(counts[severity])
        self._unacknowledged.set(sum(not raised.acknowledged_unix_us for raised in standing))

    def saved(self, told: SavingsStatus) -> None:
        """Savings of the network as they were told last."""
        self._of_savings.saved(told)

    def missed(self, kind: str, count: int) -> None:
        """Ticks were left out; ``kind`` is the name of their event."""
        self._missed.labels({k.__name__: name for k, name in KINDS.items()}[kind]).inc(count)

    def appended(self, took_s: float, failed: bool) -> None:
        """The journal was written, or could not be. Called in the journal's thread."""
        self._failing.set(failed)
        if not failed:
            self._appends.observe(took_s)


class _Counted(Collector):
    """One counter, as something else counts it."""

    def __init__(self, name: str, text: str, value: Callable[[], float]) -> None:
        self._name, self._text, self._value = name, text, value

    def collect(self) -> Iterator[CounterMetricFamily]:
        """What it says now."""
        yield CounterMetricFamily(self._name, self._text, self._value())


def _named(outcome: int, cause: int) -> tuple[str, str]:
    """Labels of an answer; numbers that no contract knows share one."""
    known_outcome, known_cause = outcome in set(Outcome), cause in set(RejectCause)
    return (
        Outcome(outcome).name.lower() if known_outcome else "unknown",
        RejectCause(cause).name.lower() if known_cause else "unknown",
    )


class MetricsServer:
    """Answers scrapes over HTTP in threads of its own."""

    def __init__(self, metrics: Metrics, listen: str) -> None:
        """Listen at ``host:port``, 0 for any port. Raises OSError."""
        host, _, port = listen.rpartition(":")
        started: tuple[WSGIServer, Thread] = start_http_server(
            int(port), host.strip("[]"), registry=metrics.registry
        )
        self._server, self._thread = started
        self.port = self._server.server_port

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
