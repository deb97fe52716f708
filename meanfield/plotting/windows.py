"""Figures and pyplot: what shows them in notebooks and windows, and what keeps them out of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

import matplotlib
from matplotlib.figure import Figure

_HIDDEN: ContextVar[bool] = ContextVar("hidden", default=False)


class StyledFigure(Figure):
    """A figure in the figures' own style; a notebook shows it once, by its own line or when the cell ends."""

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        """Called before a notebook draws it: nothing is left to be shown at the end of the cell."""
        if "inline" in matplotlib.get_backend():
            import matplotlib.pyplot as plt

            plt.close(self)
        return {}


def announce(figure: Figure) -> None:
    """Give a finished figure to pyplot, which shows it.

    Call it outside the style: the resolution on the screen is the user's, and so are the settings that
    pyplot changes. A machine without a display has figures all the same, also if a backend with windows was
    asked for.
    """
    if _HIDDEN.get():
        return
    import matplotlib.pyplot as plt

    figure.set_dpi(matplotlib.rcParams["figure.dpi"])
    with suppress(ImportError):  # which Matplotlib raises where windows cannot be opened
        plt.figure(FigureClass=lambda *_, **__: figure)  # type: ignore[arg-type]


@contextmanager
def offscreen() -> Iterator[None]:
    """Keep figures made inside to those who made them: no window, no picture, nothing to close.

    Examples
    --------
    >>> from meanfield.plotting import new_axes
    >>> with offscreen():
    ...     ax = new_axes()
    >>> ax.figure.canvas.manager is None
    True
    """
    before = _HIDDEN.set(True)
    try:
        yield
    finally:
        _HIDDEN.reset(before)
