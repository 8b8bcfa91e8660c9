"""Readers of tables: one module per layout, and what they share."""
