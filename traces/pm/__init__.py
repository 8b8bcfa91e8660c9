"""3GPP performance-measurement files (TS 32.435, TS 28.532): reader, writer and counter mappings."""

from traces.pm.mapping import CounterMapping, load_mapping
from traces.pm.read import read_pm
from traces.pm.source import looks_like_pm
from traces.pm.write import write_pm

__all__ = ["CounterMapping", "load_mapping", "looks_like_pm", "read_pm", "write_pm"]
