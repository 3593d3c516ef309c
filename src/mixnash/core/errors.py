"""The ways in which a run can fail through no fault of the code; all carry one sentence for the user."""


class MixnashError(Exception):
    """Base of the errors that the commands print as one line, without a traceback."""


class InvalidInputError(MixnashError, ValueError):
    """The user asked for something impossible; raised before any work starts."""


class NonFiniteError(MixnashError, ArithmeticError):
    """A loss or a parameter became NaN or infinite while training."""


class UnwritableError(MixnashError, OSError):
    """A file of a run could not be written although the run had begun: a full disk, a folder that became read-only."""


class ProcessLostError(MixnashError, RuntimeError):
    """Another process of the run ended or stopped answering."""


class RunFailedError(MixnashError, RuntimeError):
    """A run that had begun could not go on: no memory left, no room on the disk, data that vanished."""


def require(condition: bool, message: str) -> None:
    """Raise `InvalidInputError(message)` unless `condition` holds.

    Args:
        condition: what must be true.
        message: a sentence: what was expected, what was found, what to do.

    Raises:
        InvalidInputError: when the condition is false.
    """
    if not condition:
        raise InvalidInputError(message)
