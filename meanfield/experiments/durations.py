"""Times for readers."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """A time for readers.

    Examples
    --------
    >>> duration(4.21), duration(200), duration(9000)
    ('4.2 s', '3.3 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.2g} min" if seconds < 6000 else f"{seconds / 3600:.3g} h"
