"""What to do: planners, guards, baselines, the oracle, and the kernels behind them."""
