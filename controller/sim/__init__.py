"""Processes of a simulated network: the plant, and what starts one."""
