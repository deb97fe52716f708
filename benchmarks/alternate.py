"""Times of several runs that take turns, so that what else a machine does meets all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

#: Seconds between two turns: threads of some libraries go on waiting for work for a while.
PAUSE = 0.25


def in_turn(
    runs: Mapping[str, Callable[[], object]], rounds: int, pause: float = PAUSE
) -> dict[str, list[float]]:
    """Wall times of each run in each round; every other round goes backwards."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for k in range(rounds):
        for name in list(runs)[:: 1 if k % 2 == 0 else -1]:
            time.sleep(pause)
            began = time.perf_counter()
            runs[name]()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def ratio(others: Sequence[float], ours: Sequence[float]) -> tuple[float, float, float]:
    """Median, least and largest of the ratios within the rounds."""
    each = [other / own for other, own in zip(others, ours, strict=True)]
    return statistics.median(each), min(each), max(each)


def compared(seconds: Mapping[str, Sequence[float]], ours: str) -> list[str]:
    """One line for each run: median time, and how many times ours it is, with its range over the rounds."""
    lines = []
    for name, times in seconds.items():
        middle, low, high = ratio(times, seconds[ours])
        lines.append(
            f"  {name:24s} {statistics.median(times):9.3g} s  {middle:8.3g} x (from {low:.3g} to {high:.3g} "
            f"in {len(times)} rounds)"
        )
    return lines
