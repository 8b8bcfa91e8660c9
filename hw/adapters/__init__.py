"""The controller's side of the wire: what it says to agents and hears from them, as arrays."""
