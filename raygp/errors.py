"""What can go wrong, sorted by what the person who meets it has to do.

Every error that raygp raises on purpose is a :class:`RaygpError`. The command line prints its message as one line
(never a traceback) and exits with its ``exit_code``.
"""


class RaygpError(Exception):
    """Something failed; the message says what, where and what to do."""

    exit_code = 1


class InputError(RaygpError):
    """What the user gave (file, option, configuration, root) cannot be used. Nothing was written."""

    exit_code = 2


class ConflictError(RaygpError):
    """Another writer was there first: the head moved, or the name is taken."""

    exit_code = 3


class RejectedError(RaygpError):
    """The gate refused the candidate: the parent stays the head."""

    exit_code = 4


class DriftedError(RejectedError):
    """An update was not started, as its arrival is unlike what the line has seen and ``on_drift`` is ``wait``."""


class StoppedError(RaygpError):
    """An update was asked to end (SIGTERM, Ctrl-C) and did so after a checkpoint: the same command goes on."""

    exit_code = 143  # What shells report of a process that SIGTERM ended; 130 where it was Ctrl-C.


class TrainingError(RaygpError):
    """Training went wrong (a loss that is not finite, masks that disagree): the head did not move."""
