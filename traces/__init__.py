"""What happened: the trace in memory, readers, writers, a synthetic generator and the bundled sample."""

from traces.errors import Problem, Quarantine, TraceError, UnknownLayoutError
from traces.trace import SCHEMA, Cells, SiteEnergy, Trace, make_cells

__all__ = [
    "SCHEMA",
    "Cells",
    "Problem",
    "Quarantine",
    "SiteEnergy",
    "Trace",
    "TraceError",
    "UnknownLayoutError",
    "make_cells",
]
