"""A small sweep, for tests of what is done with one."""

import dataclasses

from meanfield import datasets, phase_diagram

FOUR = datasets.four_points()
#: A second long: 12 cells.
SMALL = {"gamma": [0.5, 1.75], "gamma_prime": [0.0], "widths": [20, 40, 80], "seeds": 2}


def sweep(**changes):
    return phase_diagram(FOUR, **{**SMALL, "progress": False, **changes})


def numbers(diagram):
    """All that a sweep computes, but for wall times, as bytes."""
    timed = [hasattr(result, "seconds") for result in diagram.results]  # points of the limit have no clock
    runs = [
        dataclasses.replace(result, seconds=0.0) if clock else result
        for result, clock in zip(diagram.results, timed, strict=True)
    ]
    return diagram.rd_w.tobytes(), diagram.rd_a.tobytes(), repr(runs)
