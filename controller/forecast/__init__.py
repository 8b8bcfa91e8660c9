"""Forecasts of the load: what a model file may hold, what it is given, and what is made of its answer."""
