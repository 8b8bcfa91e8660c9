"""Evaluation: many policies, traces, worlds and seeds side by side, with intervals and gates."""
