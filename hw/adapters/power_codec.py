"""Site power messages between their wire format and arrays, both ways; see hw/adapters/radio_codec.py."""

from __future__ import annotations

from typing import assert_never

import numpy as np
from quietcell.power.v1 import power_pb2

from hw.adapters import wire
from hw.adapters.power import OnBattery, PowerAnswers, PowerInventory, PowerReport, SafeBatch, SetpointBatch
from hw.adapters.power_report_codec import inventory_from, inventory_to, report_from, report_to
from hw.adapters.radio import Renewal, RenewalAnswer
from hw.adapters.wire import ContractError, Hello
from hw.ports import Floats, Int64

PowerDown = Hello | SafeBatch | SetpointBatch | Renewal
PowerUp = PowerInventory | PowerReport | PowerAnswers | RenewalAnswer


def to_request(message: PowerDown) -> power_pb2.ControlRequest:
    """What the controller says."""
    match message:
        case Hello():
            hello = power_pb2.Hello(
                leader_epoch=message.leader_epoch,
                controller_id=message.controller_id,
                report_every_ms=message.report_every_ms,
                leads_by_grants=message.leads_by_grants,
            )
            return power_pb2.ControlRequest(hello=hello)
        case SafeBatch():
            safe = power_pb2.SafeBatch(
                origin=wire.origin_to(message.origin),
                site=message.site.tolist(),
                revision=message.revision.tolist(),
                reason=message.reason.tolist(),
            )
            return power_pb2.ControlRequest(safe=safe)
        case SetpointBatch():
            return power_pb2.ControlRequest(commands=_commands_to(message))
        case Renewal():
            return power_pb2.ControlRequest(renewal=wire.renewal_to(message))
        case _:
            assert_never(message)


def _commands_to(batch: SetpointBatch) -> power_pb2.CommandBatch:
    return power_pb2.CommandBatch(
        origin=wire.origin_to(batch.origin),
        plan_id=batch.plan_id,
        idempotency_key=batch.idempotency_key,
        term_ms=batch.term_ms,
        site=batch.site.tolist(),
        revision=batch.revision.tolist(),
        battery_w=batch.battery_w.tolist(),
        import_limit_w=batch.import_limit_w.tolist(),
        reason=batch.reason.tolist(),
        programs=[_program_to(program) for program in batch.programs],
    )


def _program_to(program: OnBattery) -> power_pb2.OnBatteryProgram:
    stages = [
        power_pb2.ProgramStage(
            after_s=float(program.after_s[k]),
            below_ratio=float(program.below_ratio[k]),
            radio_ratio=float(program.radio_ratio[k]),
            keeps_transport=bool(program.keeps_transport[k]),
        )
        for k in range(len(program.after_s))
    ]
    return power_pb2.OnBatteryProgram(
        site=program.site, revision=program.revision, stages=stages, back_s=program.back_s
    )


def from_request(request: power_pb2.ControlRequest, n_sites: int | None = None) -> PowerDown:
    """What an agent hears; ``n_sites`` of its inventory bounds the places."""
    match request.WhichOneof("message"):
        case "hello":
            hello = request.hello
            name = wire.checked_text(hello.controller_id, "hello.controller_id")
            return Hello(hello.leader_epoch, name, hello.report_every_ms, hello.leads_by_grants)
        case "safe":
            return _safe_from(request.safe, n_sites)
        case "commands":
            return _commands_from(request.commands, n_sites)
        case "renewal":
            return wire.renewal_from(request.renewal)
        case _:
            raise ContractError("message: none of hello, safe, commands and renewal is set")


def _safe_from(message: power_pb2.SafeBatch, n_sites: int | None) -> SafeBatch:
    site = wire.places(message.site, "safe.site", n_sites)
    return SafeBatch(
        wire.origin_from(message.origin, "safe.origin"),
        site,
        wire.revisions(message.revision, "safe.revision", len(site)),
        wire.bytes_of(message.reason, "safe.reason", len(site)),
    )


def salvaged_sites(request: power_pb2.ControlRequest, n_sites: int) -> Int64:
    """Sites of an unlawful message that can be put on safe charging all the same."""
    return np.array(sorted({i for i in request.safe.site[: wire.MAX_ITEMS] if i < n_sites}), np.int64)


def _commands_from(message: power_pb2.CommandBatch, n_sites: int | None) -> SetpointBatch:
    site = wire.places(message.site, "commands.site", n_sites)
    wire.checked_length(message.programs, "commands.programs")
    return SetpointBatch(
        wire.origin_from(message.origin, "commands.origin"),
        wire.checked_text(message.plan_id, "commands.plan_id"),
        wire.checked_key(message.idempotency_key, "commands.idempotency_key"),
        message.term_ms,
        site,
        wire.revisions(message.revision, "commands.revision", len(site)),
        wire.floats(message.battery_w, "commands.battery_w", len(site)),
        _limits(message.import_limit_w, len(site)),
        wire.bytes_of(message.reason, "commands.reason", len(site)),
        tuple(_program_from(program, n_sites) for program in message.programs),
    )


def _limits(values: object, length: int) -> Floats:
    """Import limits, of which infinite is none, as (length,). [W]"""
    limit_w = np.array(values, np.float64)
    wire.checked_length(limit_w, "commands.import_limit_w", length)
    if not (limit_w >= 0).all():
        raise ContractError("commands.import_limit_w: must not be negative or NaN")
    return limit_w


def _program_from(message: power_pb2.OnBatteryProgram, n_sites: int | None) -> OnBattery:
    site = wire.places([message.site], "programs.site", n_sites)
    k = wire.checked_length(message.stages, "programs.stages", most=wire.MAX_STAGES)
    if k == 0:
        raise ContractError("programs.stages: must hold at least one stage")
    back_s = wire.floats([message.back_s], "programs.back_s", 1)
    return OnBattery(
        int(site[0]),
        message.revision,
        wire.floats([stage.after_s for stage in message.stages], "programs.stages.after_s", k),
        wire.floats([stage.below_ratio for stage in message.stages], "programs.stages.below_ratio", k),
        wire.floats([stage.radio_ratio for stage in message.stages], "programs.stages.radio_ratio", k),
        np.array([stage.keeps_transport for stage in message.stages], np.bool_),
        float(back_s[0]),
    )


def to_response(message: PowerUp) -> power_pb2.ControlResponse:
    """What an agent says."""
    match message:
        case PowerInventory():
            return power_pb2.ControlResponse(inventory=inventory_to(message))
        case PowerReport():
            return power_pb2.ControlResponse(report=report_to(message))
        case PowerAnswers():
            answers = power_pb2.Answers(
                site=message.site.tolist(),
                revision=message.revision.tolist(),
                outcome=message.outcome.tolist(),
                cause=message.cause.tolist(),
            )
            return power_pb2.ControlResponse(answers=answers)
        case RenewalAnswer():
            return power_pb2.ControlResponse(renewal=wire.renewal_answer_to(message))
        case _:
            assert_never(message)


def from_response(response: power_pb2.ControlResponse) -> PowerUp:
    """What the controller hears."""
    match response.WhichOneof("message"):
        case "inventory":
            return inventory_from(response.inventory)
        case "report":
            return report_from(response.report)
        case "answers":
            message = response.answers
            site = wire.places(message.site, "answers.site", None)
            return PowerAnswers(
                site,
                wire.revisions(message.revision, "answers.revision", len(site)),
                wire.outcomes(message.outcome, "answers.outcome", len(site)),
                wire.causes(message.cause, "answers.cause", len(site)),
            )
        case "renewal":
            return wire.renewal_answer_from(response.renewal)
        case _:
            raise ContractError("message: none of inventory, report, answers and renewal is set")
