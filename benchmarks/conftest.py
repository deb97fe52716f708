"""Two threads for every library, and the ratios ours : peer at the end of a session."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# Test modules are imported without their folder on the path.
sys.path.insert(0, str(Path(__file__).parent))
import environment

environment.two_threads()

OURS = "meanfield"
_RESULTS = pytest.StashKey[list[dict[str, Any]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_RESULTS] = []


@pytest.fixture(autouse=True)
def _collect(request: pytest.FixtureRequest) -> Iterator[None]:
    """Keep the median time of each benchmark that says whose it is."""
    if "benchmark" not in request.fixturenames:
        yield
        return
    benchmark = request.getfixturevalue("benchmark")
    yield
    if benchmark.stats is not None and "library" in benchmark.extra_info:
        result = {"group": benchmark.group, "median": benchmark.stats.stats.median}
        request.config.stash[_RESULTS].append(result | benchmark.extra_info)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    results = config.stash[_RESULTS]
    if not results:
        return
    terminalreporter.section("median times, and how many times ours they are")
    for line in [*environment.described(), "", *_ratios(results), *_exponents(results)]:
        terminalreporter.write_line(line)


def _ratios(results: list[dict[str, Any]]) -> list[str]:
    lines = []
    compared = [result for result in results if "m" not in result]
    for group in dict.fromkeys(result["group"] for result in compared):
        here = [result for result in compared if result["group"] == group]
        # Of our methods the default one counts, which is the first.
        ours = next((result["median"] for result in here if result["library"].startswith(OURS)), None)
        lines.append(group)
        lines += [_line(result, ours) for result in sorted(here, key=lambda result: result["median"])]
    return lines


def _line(result: dict[str, Any], ours: float | None) -> str:
    ours = result.get("ours", ours)  # as it was measured in turn with this one
    ratio = (
        ""
        if ours is None
        else f"{result['median'] / ours:9.3g} x{'' if 'ours' in result else ' (not in turn)'}"
    )
    notes = ", ".join(f"{key} {_short(result[key])}" for key in ("evaluations", "error") if key in result)
    return f"  {result['library']:24s} {1e3 * result['median']:11.4g} ms {ratio}   {notes}".rstrip()


def _short(value: float) -> str:
    return f"{value:d}" if isinstance(value, int) else f"{value:.1e}"


def _exponents(results: list[dict[str, Any]]) -> list[str]:
    """Slopes of log time against log m, where a benchmark gave its m."""
    lines = []
    scaled = [result for result in results if "m" in result]
    for name in dict.fromkeys(result["library"] for result in scaled):
        points = [(result["m"], result["median"]) for result in scaled if result["library"] == name]
        if len(points) < 3:
            continue
        m, seconds = np.log(np.array(points)).T
        slopes = np.diff(seconds) / np.diff(m)
        lines.append(
            f"scaling: time of {name} against m from {points[0][0]:.0e} to {points[-1][0]:.0e}: exponent "
            f"{np.polyfit(m, seconds, 1)[0]:.3f} (between neighbours {', '.join(f'{s:.3f}' for s in slopes)})"
        )
    return lines
