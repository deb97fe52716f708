"""Errors that a user can cause, each with one sentence: what was given, what was expected, what to do."""


class InputError(ValueError):
    """Something given by the user cannot be used; the message says what to give instead."""


class StoreError(InputError):
    """A sweep's store cannot be used as it is (foreign file, another problem, other settings)."""


class WorkerLostError(RuntimeError):
    """A worker process of a sweep died; what was finished before is kept."""


class MissingExtraError(ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""
