"""Trust in a controller that acts: canary cells and their controls, the watch on their KPIs, and what they save.

Arrays in, arrays out. See docs/canary.md.
"""
