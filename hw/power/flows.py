"""What flows in one step of the power plant: the columns of an array (n sites, N_FLOWS). [W], means over the step.

Meter (AC) <- rectifiers -> DC bus <- PV converter; the pack and the loads hang on the DC bus; the inverter,
where there is one, feeds PV surplus from the bus to the AC side.
"""

from __future__ import annotations

FLOW_NAMES = (
    "grid_import",  # at the meter
    "grid_export",  # at the meter
    "ac_load",  # served
    "ac_shed",  # wanted, but the mains are away
    "cap_excess",  # import above the cap: loads are served, charging was not what took it
    "rectifier_in",  # AC
    "rectifier_out",  # at the bus
    "rectifier_loss",
    "pv_available",  # what the panels could give
    "pv_curtailed",  # what they were not asked for
    "pv_loss",  # in the converter
    "pv_out",  # at the bus
    "export_in",  # from the bus into the inverter
    "export_loss",  # in the inverter
    "export_out",  # AC, to the loads on the AC side first and to the meter with the rest
    "battery_in",  # at the bus
    "battery_out",  # at the bus
    "battery_loss",  # of charging and discharging
    "self_discharge",
    "bus_loss",  # in the cables to the loads
    "radio",  # served
    "transport",  # served
    "radio_shed",
    "transport_shed",
    "stored_before",  # [Wh]
    "stored_after",  # [Wh]
)
N_FLOWS = len(FLOW_NAMES)
(
    GRID_IMPORT,
    GRID_EXPORT,
    AC_LOAD,
    AC_SHED,
    CAP_EXCESS,
    RECTIFIER_IN,
    RECTIFIER_OUT,
    RECTIFIER_LOSS,
    PV_AVAILABLE,
    PV_CURTAILED,
    PV_LOSS,
    PV_OUT,
    EXPORT_IN,
    EXPORT_LOSS,
    EXPORT_OUT,
    BATTERY_IN,
    BATTERY_OUT,
    BATTERY_LOSS,
    SELF_DISCHARGE,
    BUS_LOSS,
    RADIO,
    TRANSPORT,
    RADIO_SHED,
    TRANSPORT_SHED,
    STORED_BEFORE,
    STORED_AFTER,
) = range(N_FLOWS)
