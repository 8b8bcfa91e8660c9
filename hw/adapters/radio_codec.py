"""Radio messages between their wire format and arrays, both ways.

``from_...`` checks all that the contract promises (proto/quietcell/ran/v1/ran.proto) and raises ContractError, which
names the field; ``to_...`` trusts its own side.
"""

from __future__ import annotations

from typing import assert_never

import numpy as np
from quietcell.ran.v1 import ran_pb2

from hw.adapters import wire
from hw.adapters.radio import Answers, CommandBatch, Inventory, Renewal, RenewalAnswer, Report, WakeBatch
from hw.adapters.radio_report_codec import report_from, report_to
from hw.adapters.wire import ContractError, Hello
from hw.ports import Int64, RadioAbilities

Down = Hello | WakeBatch | CommandBatch | Renewal
Up = Inventory | Report | Answers | RenewalAnswer


def to_request(message: Down) -> ran_pb2.ControlRequest:
    """What the controller says."""
    match message:
        case Hello():
            hello = ran_pb2.Hello(
                leader_epoch=message.leader_epoch,
                controller_id=message.controller_id,
                report_every_ms=message.report_every_ms,
                leads_by_grants=message.leads_by_grants,
            )
            return ran_pb2.ControlRequest(hello=hello)
        case WakeBatch():
            wakes = ran_pb2.WakeBatch(
                origin=wire.origin_to(message.origin),
                cell=message.cell.tolist(),
                revision=message.revision.tolist(),
                reason=message.reason.tolist(),
            )
            return ran_pb2.ControlRequest(wakes=wakes)
        case CommandBatch():
            return ran_pb2.ControlRequest(commands=_commands_to(message))
        case Renewal():
            return ran_pb2.ControlRequest(renewal=wire.renewal_to(message))
        case _:
            assert_never(message)


def _commands_to(batch: CommandBatch) -> ran_pb2.CommandBatch:
    return ran_pb2.CommandBatch(
        origin=wire.origin_to(batch.origin),
        plan_id=batch.plan_id,
        idempotency_key=batch.idempotency_key,
        term_ms=batch.term_ms,
        cell=batch.cell.tolist(),
        revision=batch.revision.tolist(),
        level=batch.level.tolist(),
        expected_level=batch.expected_level.tolist(),
        reason=batch.reason.tolist(),
    )


def from_request(request: ran_pb2.ControlRequest, n_cells: int | None = None) -> Down:
    """What an agent hears; ``n_cells`` of its inventory bounds the places."""
    match request.WhichOneof("message"):
        case "hello":
            hello = request.hello
            name = wire.checked_text(hello.controller_id, "hello.controller_id")
            return Hello(hello.leader_epoch, name, hello.report_every_ms, hello.leads_by_grants)
        case "wakes":
            return _wakes_from(request.wakes, n_cells)
        case "commands":
            return _commands_from(request.commands, n_cells)
        case "renewal":
            return wire.renewal_from(request.renewal)
        case _:
            raise ContractError("message: none of hello, wakes, commands and renewal is set")


def _wakes_from(message: ran_pb2.WakeBatch, n_cells: int | None) -> WakeBatch:
    cell = wire.places(message.cell, "wakes.cell", n_cells)
    return WakeBatch(
        wire.origin_from(message.origin, "wakes.origin"),
        cell,
        wire.revisions(message.revision, "wakes.revision", len(cell)),
        wire.bytes_of(message.reason, "wakes.reason", len(cell)),
    )


def salvaged_wakes(request: ran_pb2.ControlRequest, n_cells: int) -> Int64:
    """Cells of an unlawful message that can be woken all the same: waking is never refused for its form."""
    named = {place for place in request.wakes.cell[: wire.MAX_ITEMS] if place < n_cells}
    return np.array(sorted(named), np.int64)


def _commands_from(message: ran_pb2.CommandBatch, n_cells: int | None) -> CommandBatch:
    cell = wire.places(message.cell, "commands.cell", n_cells)
    return CommandBatch(
        wire.origin_from(message.origin, "commands.origin"),
        wire.checked_text(message.plan_id, "commands.plan_id"),
        wire.checked_key(message.idempotency_key, "commands.idempotency_key"),
        message.term_ms,
        cell,
        wire.revisions(message.revision, "commands.revision", len(cell)),
        wire.bytes_of(message.level, "commands.level", len(cell)),
        wire.bytes_of(message.expected_level, "commands.expected_level", len(cell)),
        wire.bytes_of(message.reason, "commands.reason", len(cell)),
    )


def to_response(message: Up) -> ran_pb2.ControlResponse:
    """What an agent says."""
    match message:
        case Inventory():
            return ran_pb2.ControlResponse(inventory=inventory_to(message))
        case Report():
            return ran_pb2.ControlResponse(report=report_to(message))
        case Answers():
            answers = ran_pb2.Answers(
                cell=message.cell.tolist(),
                revision=message.revision.tolist(),
                outcome=message.outcome.tolist(),
                cause=message.cause.tolist(),
                level=message.level.tolist(),
            )
            return ran_pb2.ControlResponse(answers=answers)
        case RenewalAnswer():
            return ran_pb2.ControlResponse(renewal=wire.renewal_answer_to(message))
        case _:
            assert_never(message)


def from_response(response: ran_pb2.ControlResponse) -> Up:
    """What the controller hears."""
    match response.WhichOneof("message"):
        case "inventory":
            return inventory_from(response.inventory)
        case "report":
            return report_from(response.report)
        case "answers":
            return _answers_from(response.answers)
        case "renewal":
            return wire.renewal_answer_from(response.renewal)
        case _:
            raise ContractError("message: none of inventory, report, answers and renewal is set")


def _answers_from(message: ran_pb2.Answers) -> Answers:
    cell = wire.places(message.cell, "answers.cell", None)
    return Answers(
        cell,
        wire.revisions(message.revision, "answers.revision", len(cell)),
        wire.outcomes(message.outcome, "answers.outcome", len(cell)),
        wire.causes(message.cause, "answers.cause", len(cell)),
        wire.bytes_of(message.level, "answers.level", len(cell)),
    )


def inventory_to(inventory: Inventory) -> ran_pb2.GetInventoryResponse:
    """The message of an inventory."""
    has = inventory.abilities
    levels = [
        ran_pb2.Level(name=name, wake_ms=int(has.wake_ms[i]), is_off_air=bool(has.off_air[i]))
        for i, name in enumerate(has.level_names)
    ]
    cells = [
        ran_pb2.Cell(
            cell_id=has.cell_id[i],
            site_id=has.site_id[i],
            product=has.product[i],
            is_capacity=bool(has.is_capacity[i]),
            level=np.flatnonzero(has.allowed[i]).tolist(),
            has_dead_man=bool(has.has_dead_man[i]),
        )
        for i in range(has.n_cells)
    ]
    return ran_pb2.GetInventoryResponse(
        agent_id=inventory.agent_id,
        agent_boot_id=inventory.boot_id,
        levels=levels,
        full_service_level=has.full_service_level,
        cells=cells,
        longest_term_ms=inventory.longest_term_ms,
        longest_plan_ms=inventory.longest_plan_ms,
        highest_epoch=inventory.highest_epoch,
        is_simulated=has.is_simulated,
    )


def inventory_from(message: ran_pb2.GetInventoryResponse) -> Inventory:
    """An inventory."""
    n_levels = wire.checked_length(message.levels, "inventory.levels", most=256)
    wire.checked_length(message.cells, "inventory.cells")
    if message.full_service_level >= n_levels:
        raise ContractError(
            f"inventory.full_service_level: {message.full_service_level} of {n_levels} levels"
        )
    allowed = np.zeros((len(message.cells), n_levels), np.bool_)
    for i, cell in enumerate(message.cells):
        allowed[i, wire.places(cell.level, f"inventory.cells[{i}].level", n_levels)] = True
    cell_id = tuple(wire.checked_text(c.cell_id, "inventory.cells.cell_id") for c in message.cells)
    if len(set(cell_id)) < len(cell_id):
        raise ContractError("inventory.cells.cell_id: a name occurs twice")
    abilities = RadioAbilities(
        cell_id,
        tuple(wire.checked_text(c.site_id, "inventory.cells.site_id") for c in message.cells),
        tuple(wire.checked_text(c.product, "inventory.cells.product") for c in message.cells),
        np.array([c.is_capacity for c in message.cells], np.bool_),
        tuple(wire.checked_text(level.name, "inventory.levels.name") for level in message.levels),
        np.array([level.wake_ms for level in message.levels], np.int64),
        np.array([level.is_off_air for level in message.levels], np.bool_),
        allowed,
        np.array([c.has_dead_man for c in message.cells], np.bool_),
        message.full_service_level,
        message.is_simulated,
    )
    return Inventory(
        wire.checked_text(message.agent_id, "inventory.agent_id"),
        wire.checked_key(message.agent_boot_id, "inventory.agent_boot_id", wire.BOOT_ID_BYTES),
        abilities,
        message.longest_term_ms,
        message.longest_plan_ms,
        message.highest_epoch,
    )
