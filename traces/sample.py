"""The bundled sample: a small synthetic network of eight sites, two weeks at 15 min. See docs/synthetic.md.

``python -m traces.sample`` makes it again.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from traces.synthesis import Event, SynthSpec, generate
from traces.trace import Trace
from traces.writers.tidy import write_tidy

STADIUM_EVENING = Event(site=0, start_h=5 * 24 + 19, duration_h=3, factor=4)  # the first Saturday, 19 to 22 h
# The seed was chosen so that eight sites have all six area types, and one of them a silent outage.
SAMPLE_SPEC = SynthSpec(
    n_sites=8,
    sectors=3,
    layers=3,
    days=14,
    step_s=900,
    seed=39,
    median_load=0.15,
    growth_per_week=0.02,
    events=(STADIUM_EVENING,),
    outages_per_site_week=0.06,
    missing_share=0.004,
    logged_share=0.6,
    site_energy=True,
)


def sample_path() -> Path:
    """Folder of the bundled sample, a trace in the tidy layout."""
    return Path(str(files("traces"))) / "data" / "sample"


def make_sample() -> Trace:
    """The sample in memory. Uplink volume is left out to keep the package small."""
    return replace(generate(SAMPLE_SPEC), source="sample", ul_volume_bit=None)


def main() -> None:
    """Make the bundled sample again, in place."""
    for old in sample_path().glob("*.parquet"):
        old.unlink()
    write_tidy(make_sample(), sample_path())


if __name__ == "__main__":
    main()
