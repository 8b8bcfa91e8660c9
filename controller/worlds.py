"""Worlds by name or file: reads catalogue files and compiles them into arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from pydantic import Field, RootModel

from controller.calibration import fit_trace, load_calibration
from controller.errors import ConfigError
from controller.strict_yaml import load_yaml
from controller.symbols.catalogue import load_frame, load_symbol_model
from hw.calibration import Calibration, make_world
from hw.compiling import compile_world
from hw.spec import EvaluationSpec, World3gppSpec, WorldSpec
from hw.symbols.levers import Lever, LeverSpec
from hw.symbols.worlds import frame_name, pull_levers
from hw.world import World
from traces import Trace

CATALOGUE = Path(str(files("hw").joinpath("catalogue")))
CALIBRATED = "calibrated"  # fit on the trace's own measured energy
DEFAULT_WORLD = "3gpp-cat1-set1"
PEAK_SIGMAS = 3.0  # of the traffic inside a step: what a level seen at a step mean is taken to have carried


class _WorldFile(RootModel[WorldSpec]):
    root: WorldSpec = Field(discriminator="model")


@dataclass(frozen=True, slots=True)
class EvaluatedWorld:
    """A hardware world together with how it is evaluated."""

    world: World
    evaluation: EvaluationSpec
    # without levers, for the baselines ``none`` and ``symbol``; None where none is pulled
    plain: World | None = None

    @property
    def baseline(self) -> EvaluatedWorld:
        """The world that the baselines ``none`` and ``symbol`` live in."""
        return self if self.plain is None else EvaluatedWorld(self.plain, self.evaluation)


def world_names() -> list[str]:
    """Names of the worlds in the catalogue."""
    return sorted(p.stem for p in CATALOGUE.glob("*.yaml") if p.stem != "evaluation")


def default_evaluation() -> EvaluationSpec:
    """The evaluation of hw/catalogue/evaluation.yaml."""
    return load_yaml(CATALOGUE / "evaluation.yaml", EvaluationSpec)


def load_world(name_or_file: str) -> EvaluatedWorld:
    """A world of the catalogue by name, or of a world file by path. Raises as ``load_spec`` does, and WorldError."""
    spec = load_spec(name_or_file)
    evaluation = spec.evaluation or default_evaluation()
    return EvaluatedWorld(compile_world(spec, evaluation), evaluation)


def load_spec(name_or_file: str) -> WorldSpec:
    """What a world file says, of the catalogue by name or any other by path.

    Raises ConfigError for an unknown name or a file that is no world, naming line, field and remedy.
    """
    path = CATALOGUE / f"{name_or_file}.yaml"
    if name_or_file not in world_names():
        path = Path(name_or_file)
        if not path.is_file():
            known = ", ".join([*world_names(), CALIBRATED])
            raise ConfigError(f"world {name_or_file!r} is neither a file nor a known world; known: {known}")
    return load_yaml(path, _WorldFile).root


def world_for(name_or_file: str | None, trace: Trace | None, levers: Sequence[Lever] = ()) -> EvaluatedWorld:
    """The world that is asked for: by name, by file, or calibrated on ``trace`` itself, where there is one.

    A ``.json`` file is a calibration, as ``quietcell calibrate --out`` writes it. ``levers`` are pulled in 3GPP worlds.
    Raises ConfigError, WorldError, and TraceError where the trace has no measured energy to calibrate on.
    """
    name = name_or_file or DEFAULT_WORLD
    if levers:
        return _levered(name, levers)
    if name == CALIBRATED:
        if trace is None:
            raise ConfigError(
                f"world {CALIBRATED!r} needs a trace with measured energy; give a calibration file, as `quietcell "
                "calibrate --out` writes it"
            )
        return _evaluated(fit_trace(trace), CALIBRATED)
    if Path(name).suffix == ".json" and Path(name).is_file():
        return _evaluated(load_calibration(Path(name)), f"{CALIBRATED}: {Path(name).stem}")
    return load_world(name)


def _levered(name: str, levers: Sequence[Lever]) -> EvaluatedWorld:
    """A 3GPP world with levers. Raises ConfigError for any other world, and for a numerology without a frame."""
    calibrated = name == CALIBRATED or Path(name).suffix == ".json"
    spec = None if calibrated else load_spec(name)
    if not isinstance(spec, World3gppSpec):
        raise ConfigError(
            f"world {name!r} has no symbols to rest: levers ({', '.join(levers)}) need the world of a 3GPP reference "
            f"radio, such as {DEFAULT_WORLD}"
        )
    evaluation = spec.evaluation or default_evaluation()
    plain = compile_world(spec, evaluation)
    pulled = LeverSpec(light_sleep="light_sleep" in levers, filling="filling" in levers)
    world = pull_levers(plain, spec, evaluation, load_frame(frame_name(spec)), pulled, load_symbol_model())
    return EvaluatedWorld(world, evaluation, plain)


def _evaluated(calibration: Calibration, name: str) -> EvaluatedWorld:
    """A calibrated world under the default evaluation, which its parameters echo too."""
    evaluation = default_evaluation()
    sigma = evaluation.traffic_path.sigma
    world = make_world(calibration, name=name, sample_peak=math.exp(PEAK_SIGMAS * sigma - sigma**2 / 2))
    echoed = evaluation.model_dump(
        mode="json", exclude={"always_on", "dl_symbol_share_tdd", "ul_per_dl", "rf_channel"}
    )
    parameters = echoed | world.parameters | {"full_rate_mbit_s": world.full_rate_mbit_s}
    return EvaluatedWorld(replace(world, parameters=parameters), evaluation)
