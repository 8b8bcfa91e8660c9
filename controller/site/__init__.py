"""Site power: tariffs, grid events and outlooks as data, and the plan of battery, rectifiers and PV of every site."""
