"""Symbols on air: what a frame must send, what its gaps are worth, and how data fills it."""
