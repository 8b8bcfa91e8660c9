"""Replay: a recorded network under several policies, with a simulated plant and a simulated clock."""
