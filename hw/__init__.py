"""What there is: physics of the radio, worlds in arrays and the simulated plant."""
