"""Why a cell was at its level at a time: one decision of a replay in full."""
