"""The composition root: configuration, replay, evaluation, reports and the command line."""
