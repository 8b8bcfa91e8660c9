"""Training of forecast models: rows from a trace, candidates, choice, export."""
