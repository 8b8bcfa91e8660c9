"""What can go wrong in the controller, as one tree.

::

    ValueError                  permanent: the same input fails again, somebody has to change it
      ConfigError               a YAML file cannot be used
      ModelError                a forecast model or a policy network cannot be used
      PolicyError               a policy is not known, or a plug-in cannot be used
      JournalError              a journal cannot be used: of a newer version, in use, or no journal
      traces.errors.TraceError  a trace cannot be used
      hw.errors.WorldError      a hardware world cannot be used
      hw.errors.SecurityError   a certificate, key, address or name cannot be trusted
    OSError                     retryable: the same may work later
      JournalUnavailable        the journal could not be written: disk full, input/output error

Each message names the file, the place, the field, the value and a remedy, so a caller prints it as it is.
"""

from __future__ import annotations


class ConfigError(ValueError):
    """A YAML file that cannot be used.

    The message has one line for each problem: ``file:line: field: what is wrong with the value; remedy``.
    """


class ModelError(ValueError):
    """A forecast model or a policy network that cannot be used.

    The message names the file, what is wrong with it, the value and a remedy.
    """


class PolicyError(ValueError):
    """A policy that is not known, or a plug-in that cannot be used.

    The message names the policy, the distribution that brings it, what is wrong and a remedy.
    """


class JournalError(ValueError):
    """A journal that cannot be used.

    The message names the file, what is wrong with it and a remedy.
    """


class JournalUnavailable(OSError):  # noqa: N818 - a state of the disk that passes, as callers name it
    """The journal could not be written. Nothing of the append is in it; the next one may work."""
