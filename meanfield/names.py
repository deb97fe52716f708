"""Names that were changed: the old ones still work, with a warning that says the new one."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable


def old_names(module: str, **renamed: str) -> Callable[[str], object]:
    """A ``__getattr__`` for a module in which names were changed.

    Parameters
    ----------
    module : str
        Its ``__name__``.
    **renamed : str
        The new name for each old one.

    Returns
    -------
    callable
        Gives for an old name what the new one stands for, with a DeprecationWarning.

    Examples
    --------
    >>> __getattr__ = old_names("meanfield.errors", WrongInput="InputError")
    >>> with warnings.catch_warnings(record=True) as told:
    ...     warnings.simplefilter("always")
    ...     print(__getattr__("WrongInput").__name__, told[0].message)
    InputError meanfield.errors.WrongInput is now called InputError; the old name will go in version 0.3
    """

    def __getattr__(name: str) -> object:  # noqa: N807 - it becomes that of the module
        if name not in renamed:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        new = renamed[name]
        warnings.warn(
            f"{module}.{name} is now called {new}; the old name will go in version 0.3",
            DeprecationWarning,
            stacklevel=2,
        )
        value: object = getattr(sys.modules[module], new)
        return value

    return __getattr__
