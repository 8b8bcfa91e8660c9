"""What a sites file may say: schema ``quietcell.sites/1``. See docs/site-power.md.

Every site takes ``defaults``, then the fields of each entry of ``sites`` whose pattern fits its name, the later entry
winning. Paths are relative to the file.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import reduce
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from controller.errors import ConfigError
from controller.strict_yaml import load_yaml
from hw.spec import NotNegative, Positive, Share, Spec

Name = Annotated[str, Field(min_length=1)]
PositiveShare = Annotated[float, Field(gt=0, le=1)]
MAX_SHOWN = 20  # names in a message


class StageSpec(Spec):
    """A stage of the on-battery program; each does no more than the one before."""

    after_s: NotNegative  # time on battery at which it begins at the latest
    below_soc: Share = 0.0  # state of charge below which it begins anyway; no matter for the first stage
    radio_ratio: Share  # radio power kept, over that of full service; 0: shed
    transport: bool = True


class ProgramSpec(Spec):
    """What a site agent does on battery by itself. It frees reserve only where it is acknowledged."""

    acknowledged: bool  # the agent has stored the program and said so
    # from the failure to the sleep of the first stage, a restart of the agent included
    reaction_s: NotNegative
    back_s: NotNegative = 300.0  # mains must stay for so long before the program ends
    stages: Annotated[tuple[StageSpec, ...], Field(min_length=1, max_length=8)]

    @model_validator(mode="after")
    def _first_at_once(self) -> Self:
        first = self.stages[0]
        if first.after_s or not first.transport:
            raise ValueError("the first stage begins at once and keeps transport: after_s 0, transport true")
        for before, after in pairwise(self.stages):
            if after.after_s < before.after_s or (before is not first and after.below_soc > before.below_soc):
                raise ValueError("a later stage must begin later: after_s must not fall, below_soc not rise")
            if after.radio_ratio > before.radio_ratio or after.transport > before.transport:
                raise ValueError(
                    "a later stage must do no more: radio_ratio must not rise, transport not come back"
                )
        if any(stage.radio_ratio and not stage.transport for stage in self.stages):
            raise ValueError("radio sheds first: radio_ratio must be 0 where transport is false")
        return self


class SiteFields(Spec):
    """What may be said of a site. Every field may be left out where ``defaults`` or an earlier entry has it."""

    plant: Name | None = None  # a name of hw/catalogue/power, or a plant file
    rectifier_modules: Annotated[int, Field(ge=1, le=16)] | None = None  # instead of the plant's
    packs: Positive | None = None  # multiple of the plant's rated capacity
    rated_kwh: Positive | None = None  # capacity instead
    soc: Share | None = None  # at the begin and at the end of each billing month
    health: PositiveShare | None = None  # capacity now over rated
    pv_kwp: NotNegative | None = None
    weather: Name | None = None  # site of the weather file
    indoor_c: float | None = None  # temperature of the cells where no cooling is simulated [degC]
    cooling: Name | None = None  # a name of hw/catalogue/cooling, or a cooling file; "none": indoor_c holds
    backup_class: Name | None = None  # a shipped class, or a class file
    mains_grade: Name | None = None  # of the class and of the outages that are drawn
    on_battery_program: ProgramSpec | None = None
    transport_w: NotNegative | None = None  # DC
    ac_load_w: NotNegative | None = None  # beside the cooling
    import_cap_w: Positive | None = None  # of the connection; left out: none
    export_cap_w: NotNegative | None = None  # feed-in of PV

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if self.packs is not None and self.rated_kwh is not None:
            raise ValueError("packs and rated_kwh both state the size of the battery; keep one")
        return self


class Site(SiteFields):
    """One site with all that is needed."""

    plant: Name
    soc: Share = 0.95
    health: PositiveShare = 1.0
    pv_kwp: NotNegative = 0.0
    backup_class: Name
    mains_grade: Name
    transport_w: NotNegative
    ac_load_w: NotNegative = 0.0
    export_cap_w: NotNegative = 0.0


class SiteEntry(SiteFields):
    """Fields of the sites whose names fit one of the patterns."""

    match: Annotated[tuple[Name, ...], Field(min_length=1)]  # names, or with the wildcards * ? [...]


class PricesSpec(Spec):
    """Where a tariff with a market takes its prices from."""

    path: Name  # a folder with prices.parquet or tou_*.parquet, or a tidy file
    market: Name | None = None  # of the folder; left out: that of the tariff
    fill_h: NotNegative = 0.0  # gaps up to this hold the price before them


class WeatherSpec(Spec):
    """Temperature, sun and PV yield of the places that sites name."""

    path: Name  # a folder with weather_pv_*.parquet, one typical year
    noon_of_tariff: bool = False  # move each place so that its noon is that of the tariff's zone


class OutagesSpec(Spec):
    """Mains failures: recorded ones, or ones drawn from the grade of each site."""

    path: Name | None = None  # columns site, begin, end
    drawn_with_seed: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.path is None) == (self.drawn_with_seed is None):
            raise ValueError("state path, or drawn_with_seed, and not both")
        return self


class Co2Files(Spec):
    """Emissions by hour; left out: the tariff's average, where it states one."""

    average: Name | None = None  # tidy file with average_co2_kg_per_kwh
    marginal: Name | None = None  # a folder with moer_*.parquet, or a tidy file with marginal_co2_kg_per_kwh


class SitesSpec(Spec):
    """A sites file."""

    # "schema" would shadow a method of pydantic's BaseModel, hence the alias
    schema_name: Annotated[Literal["quietcell.sites/1"], Field(alias="schema")]
    source: Name  # where the figures come from
    tariff: Name  # a shipped tariff, or a tariff file
    demand_price_per_kw: NotNegative | None = None  # instead of the tariff's
    exchange_rate: Positive | None = None  # of the tariff's currency for one unit of that of the packs' price
    radio_w_per_unit: Positive | None = None  # for worlds without power in W
    neighbour_margin: NotNegative = 0.05  # on the upper load: traffic of failed neighbours [ratio]
    rectifier_loss_indoors: Share = 1.0  # share of the rectifiers' loss that heats the room
    setpoint_c: float = 25.0  # of simulated cooling [degC]
    setpoints: Literal["fixed", "planned"] = "fixed"  # whether simulated cooling stays at setpoint_c
    # what sleep of the radio is weighed by, inside its service limits
    sleep_by: Literal["energy", "price", "co2"] = "energy"
    history_days: Annotated[int, Field(ge=1)] = 7  # before the first day that is scored
    prices: PricesSpec | None = None
    weather: WeatherSpec | None = None
    outages: OutagesSpec | None = None
    grid_events: Name | None = None  # a file quietcell.grid-events/1
    co2: Co2Files = Co2Files()
    defaults: SiteFields = SiteFields()
    sites: tuple[SiteEntry, ...] = ()


class SitesFile:
    """A sites file that was read, and where."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spec = load_yaml(path, SitesSpec)

    def error(self, what: str) -> ConfigError:
        """An error that names the file."""
        return ConfigError(f"{self.path}: {what}")

    def beside(self, name: str) -> Path:
        """A path as the file means it."""
        return self.path.parent / name

    def named_files(self) -> list[Path]:
        """The files and folders that it names and that are there: what is planned depends on them, too."""
        spec = self.spec
        names = [spec.tariff, spec.grid_events, spec.co2.average, spec.co2.marginal]
        names += [part.path for part in (spec.prices, spec.weather, spec.outages) if part is not None]
        for fields in (spec.defaults, *spec.sites):
            names += [fields.plant, fields.cooling, fields.backup_class]
        found = {self.beside(name) for name in names if name is not None}
        return sorted(path for path in found if path.exists())

    def with_power(self, site_ids: list[str]) -> list[str]:
        """Of some sites those that an entry names, or all where ``defaults`` state a plant."""
        if self.spec.defaults.plant is not None:
            return site_ids
        patterns = [pattern for entry in self.spec.sites for pattern in entry.match]
        return [name for name in site_ids if any(fnmatchcase(name, pattern) for pattern in patterns)]

    def resolve(self, site_ids: list[str]) -> list[Site]:
        """The sites of a trace. Raises ConfigError for a pattern that fits none, or a field that is missing."""
        for number, entry in enumerate(self.spec.sites, 1):
            for pattern in entry.match:
                if not any(fnmatchcase(site, pattern) for site in site_ids):
                    raise self.error(
                        f"sites: entry {number}: match {pattern!r} fits no site of the trace; its sites are "
                        f"{_shown(site_ids)}: correct the pattern, or remove the entry"
                    )
        return [self._site(name) for name in site_ids]

    def _site(self, name: str) -> Site:
        own = [e for e in self.spec.sites if any(fnmatchcase(name, p) for p in e.match)]
        fields = reduce(_over, [_given(e) for e in own], _given(self.spec.defaults))
        for wanted in ("plant", "backup_class", "mains_grade", "transport_w"):
            if wanted not in fields:
                raise self.error(
                    f"site {name} has no {wanted}; state it under defaults, or in an entry of sites that fits it"
                )
        site = Site(**fields)
        if site.pv_kwp and site.weather is None:
            raise self.error(f"site {name} has pv_kwp but no weather; name its place of the weather file")
        if site.weather is not None and self.spec.weather is None:
            raise self.error(
                f"site {name} names weather {site.weather!r}, but no file does; add weather: path"
            )
        if site.cooling in (None, "none") and site.indoor_c is None:
            raise self.error(f"site {name} has neither cooling nor indoor_c; state one of them")
        if site.cooling not in (None, "none") and site.weather is None:
            raise self.error(f"site {name} has cooling but no weather; name its place of the weather file")
        return site


def _given(fields: SiteFields) -> dict[str, Any]:
    return {name: getattr(fields, name) for name in fields.model_fields_set if name != "match"}


def _over(fields: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    """The fields with those of a later entry over them; one size of the battery takes the place of the other."""
    sizes = {"packs", "rated_kwh"}
    kept = {k: v for k, v in fields.items() if not (k in sizes and sizes & set(later))}
    return kept | later


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
    return ", ".join(names[:MAX_SHOWN]) + more
