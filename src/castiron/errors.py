"""Errors that a user can cause. Each message says what is wrong, where, and what to do."""


class CastironError(Exception):
    """Base of every error that castiron reports to a user without a traceback."""


class ModelError(CastironError):
    """The model file is broken, incomplete or not of a format that castiron reads."""


class UnsupportedOp(ModelError):
    """The model uses operators or layers that castiron does not compile; the message lists all of them."""


class ShapeError(CastironError):
    """Types or shapes do not fit together."""


class VerifyError(CastironError):
    """The compiled model does not agree with its source."""


class ToolError(CastironError):
    """A tool that the build needs is missing or failed."""


class OutputError(CastironError):
    """A result could not be written."""
