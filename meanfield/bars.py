"""Progress bars: tqdm's, in a terminal as text, in a notebook as a widget where ipywidgets is installed."""

from __future__ import annotations

import functools
import os
import sys
import warnings
from typing import Any

#: A computation that lasts longer than this many seconds shows a progress bar.
QUIET_SECONDS = 2.0


@functools.cache
def bar_class() -> Any:
    """The class of bars that fits where this runs."""
    with warnings.catch_warnings():
        # Without ipywidgets tqdm warns, and draws the bar as text, which is what is wanted then.
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm
    return tqdm


def in_notebook() -> bool:
    """Whether this is a Jupyter kernel."""
    if "ipykernel" not in sys.modules:
        return False
    from IPython import get_ipython

    return "IPKernelApp" in getattr(get_ipython(), "config", {})


def switched_off() -> bool:
    """Whether the variable ``TQDM_DISABLE`` of tqdm says that nothing is shown unasked."""
    return os.environ.get("TQDM_DISABLE", "").lower() not in ("", "0", "false", "no")


def visible(progress: bool | None) -> bool:
    """Whether a bar is shown: as asked, and by default where somebody sees it, in terminals and notebooks.

    The variable ``TQDM_DISABLE`` of tqdm switches the default off.
    """
    if progress is not None:
        return progress
    if switched_off():
        return False
    return sys.stderr.isatty() or in_notebook()
