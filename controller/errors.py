"""What can go wrong in the controller, as one tree.

::

    ValueError                  permanent: the same input fails again, somebody has to change it
      ConfigError               a YAML file cannot be used
      ModelError                a forecast model cannot be used
      traces.errors.TraceError  a trace cannot be used
      hw.errors.WorldError      a hardware world cannot be used

Each message names the file, the place, the field, the value and a remedy, so a caller prints it as it is.
"""

from __future__ import annotations


class ConfigError(ValueError):
    """A YAML file that cannot be used.

    The message has one line for each problem: ``file:line: field: what is wrong with the value; remedy``.
    """


class ModelError(ValueError):
    """A forecast model that cannot be used.

    The message names the file, what is wrong with it, the value and a remedy.
    """
