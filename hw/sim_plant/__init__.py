"""The simulated plant: radios and site power behind many agents, in a process of its own; docs/sim-plant.md."""
