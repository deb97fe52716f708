"""What the commands say of sweeps, runs and scalings, as a page of text and as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meanfield.cli.tables import Page, Table, paths
from meanfield.cli.verb import of_this_command
from meanfield.displays import signed
from meanfield.regime import Classification, Regime, boundary_gamma
from meanfield.scaling import Scaling

if TYPE_CHECKING:
    from meanfield.experiments import Boundary, PhaseDiagram, Row, Slope
    from meanfield.flow import Trajectory

_MEANING = {
    Regime.LINEAR: "the weights hardly move, relatively, as m grows: trains like a kernel machine",
    Regime.CRITICAL: "the weights move by a share that stays finite as m grows: mean-field training",
    Regime.CONDENSED: "the weights move ever more as m grows: neurons condense onto a few directions",
}


def diagram_as_text(diagram: PhaseDiagram, written: Sequence[Path]) -> Page:
    """The summary of a phase diagram: a table for each exponent, and what they say."""
    from meanfield.experiments import methods_text

    what = "m in each of two twin halves" if diagram.settings.per_half else "m neurons"
    return [
        f"{diagram.problem.name}: {diagram.problem.n} samples, d = {diagram.problem.d}; widths "
        f"{', '.join(str(int(m)) for m in diagram.widths)} ({what}), {len(diagram.seeds)} seeds",
        "",
        Table(
            ("gamma'", "gamma", "S_w measured", "these widths", "limit", "verdict", "agrees"),
            [
                (*_place(row), _slope(row.S_w), _at_widths(row, "S_w"), signed(row.predicted_S_w, 3),
                 row.verdict.value, {True: "yes", False: "NO", None: "-"}[row.agrees])
                for row in diagram.rows
            ],
            words=("verdict", "agrees"),
        ),
        "",
        Table(
            ("gamma'", "gamma", "S_a measured", "these widths", "limit"),
            [
                (*_place(row), _slope(row.S_a), _at_widths(row, "S_a"), signed(row.predicted_S_a, 3))
                for row in diagram.rows
            ],
        ),
        "",
        *agreement(diagram),
        *_zeros(diagram),
        'Measured slopes and zeros belong to these widths; "these widths" is what they are without sampling '
        'noise, "limit" what they tend to as m grows.',
        *_unusual(diagram),
        "",
        "For a paper: " + methods_text(diagram),
        "",
        *paths(written),
    ]  # fmt: skip


def _zeros(diagram: PhaseDiagram) -> list[str]:
    """Where S_w changes sign."""
    finite = dict(zip(diagram.gamma_prime.tolist(), diagram.zeros_at_widths.tolist(), strict=True))
    lines = []
    for zero in diagram.zeros:
        noise_free = finite[zero.gamma_prime]
        at_widths = f"without noise: {noise_free:.3f}; " if math.isfinite(noise_free) else ""
        lines.append(
            f"S_w changes sign at gamma = {zero.gamma:.3f} {_interval(zero.low, zero.high)} for gamma' = "
            f"{zero.gamma_prime:g} ({at_widths}limit: {float(boundary_gamma(zero.gamma_prime)):g})"
        )
    return lines


def _unusual(diagram: PhaseDiagram) -> list[str]:
    """Runs that came to rest, and those that did not come to their end."""
    failed = [result for result in diagram.results if not result.finished]
    rested = [result for result in diagram.results if result.finished and not result.converged]
    lines = []
    if rested:
        lines.append(
            f"{len(rested)} of {len(diagram.results)} runs came to rest above the loss tolerance (stationary "
            f"points, losses up to {max(result.loss for result in rested):.2g}); they are counted."
        )
    if failed:
        worst = failed[0]
        lines.append(
            f"{len(failed)} of {len(diagram.results)} runs did not converge (the first: gamma = "
            f"{worst.cell.gamma:g}, gamma' = {worst.cell.gamma_prime:g}, m = {worst.cell.width}: "
            f"{worst.status}); they are left out."
        )
    return lines


def agreement(diagram: PhaseDiagram) -> list[str]:
    """How many points hold the prediction at these widths, and how many are of the theory's regime."""
    lines = []
    inside = [row.agrees for row in diagram.rows if row.agrees is not None]
    if inside:
        share = f"{100 * diagram.confidence:g} %"
        lines.append(
            f"{sum(inside)} of {len(inside)} points hold the prediction at these widths in their {share} "
            f"interval (by chance alone: {diagram.confidence * len(inside):.0f}; "
            "they share their draws, and miss together)."
        )
    decided = [row.regime_agrees for row in diagram.rows if row.regime_agrees is not None]
    lines.append(f"{sum(decided)} of {len(decided)} decided points are on the theory's side of the boundary.")
    return lines


def diagram_as_json(diagram: PhaseDiagram, written: Sequence[Path]) -> dict[str, Any]:
    """The summary table of a phase diagram, for scripts."""
    from meanfield.experiments import methods_text

    return {
        "problem": {"name": diagram.problem.name, "n": diagram.problem.n, "d": diagram.problem.d},
        "settings": diagram.settings.described(),
        "methods": methods_text(diagram),
        "widths": [int(m) for m in diagram.widths],
        "seeds": [int(seed) for seed in diagram.seeds],
        "points": [_row_as_json(row) for row in diagram.rows],
        "zeros": [{key: _finite(value) for key, value in asdict(zero).items()} for zero in diagram.zeros],
        "zeros_at_widths": [_finite(zero) for zero in diagram.zeros_at_widths.tolist()],
        "runs": len(diagram.results),
        "came_to_rest": sum(result.finished and not result.converged for result in diagram.results),
        "not_converged": sum(not result.finished for result in diagram.results),
        "written": [str(path) for path in written],
    }


def boundary_as_text(found: Boundary, written: Sequence[Path]) -> Page:
    """The located boundary: a table with a line for each gamma'."""
    what = "m in each of two twin halves" if found.settings.per_half else "m neurons"
    rows = [
        (f"{gp:.2f}", f"{found.gamma_star[k]:.3f}", _interval(*found.interval[k]),
         f"{found.reference[k]:.3f}", f"{found.predicted[k]:.3f}", "yes" if found.settled[k] else "NO")
        for k, gp in enumerate(found.gamma_prime)
    ]  # fmt: skip
    return [
        f"{found.problem.name}: widths {', '.join(str(int(m)) for m in found.widths)} ({what}), "
        f"seeds {', '.join(map(str, found.seeds))}; {len(found.evaluations)} ensembles, "
        f"{len(found.results)} runs",
        "",
        Table(
            ("gamma'", "gamma* measured", "interval", "without noise", "limit", "settled"),
            rows,
            words=("settled",),
        ),
        'Zeros belong to these widths, as "without noise" does; they tend to the limit as m grows.',
        "",
        *paths(written),
    ]


def boundary_as_json(found: Boundary, written: Sequence[Path]) -> dict[str, Any]:
    """The located boundary, for scripts."""
    return {
        "settings": found.settings.described(),
        "widths": [int(m) for m in found.widths],
        "seeds": [int(seed) for seed in found.seeds],
        "method": found.method,
        "points": [
            {
                "gamma_prime": float(gp),
                "gamma_star": _finite(float(found.gamma_star[k])),
                "interval": [_finite(float(end)) for end in found.interval[k]],
                "reference": _finite(float(found.reference[k])),
                "limit": float(found.predicted[k]),
                "settled": bool(found.settled[k]),
            }
            for k, gp in enumerate(found.gamma_prime)
        ],
        "ensembles": len(found.evaluations),
        "runs": len(found.results),
        "written": [str(path) for path in written],
    }


def place_as_text(scaling: Scaling, place: Classification, scales: tuple[float, float] | None) -> Page:
    """Where a scaling lies in the phase diagram, as a few lines of text."""
    title = f"{scaling.name}: " if scaling.name else ""
    lines = [
        f"{title}gamma = {place.gamma:g}, gamma' = {place.gamma_prime:g}",
        f"regime    {place.regime.value}: {_MEANING[place.regime]}",
        f"boundary  distance {place.distance:.4g} to the line {place.boundary}, at "
        f"({place.nearest[0]:g}, {place.nearest[1]:g})",
        f"exponents RD_w ~ m^{place.S_w:.4g}, RD_a ~ m^{place.S_a:.4g}",
    ]
    if scales is not None:
        lines.append(f"scales    kappa = {scales[0]:.6g}, kappa' = {scales[1]:.6g} at this width")
    return [*lines]


def place_as_json(
    scaling: Scaling, place: Classification, scales: tuple[float, float] | None
) -> dict[str, Any]:
    """Where a scaling lies in the phase diagram, for scripts."""
    data = {**asdict(place), "regime": place.regime.value, "name": scaling.name}
    if scales is not None:
        data |= {"kappa": scales[0], "kappa_prime": scales[1]}
    return data


def run_as_text(run: Trajectory, scaling: Scaling, written: Sequence[Path]) -> Page:
    """The outcome of a run, as a few lines of text."""
    stats, end = run.stats, run.end
    lines = [
        f"{run.problem.name}: {run.problem.n} samples, d = {run.problem.d}; width {run.initial.width:g}, "
        f"gamma = {scaling.gamma:g}, gamma' = {scaling.gamma_prime:g} ({scaling.regime.value} regime)",
        f"status    {run.status.name}: {of_this_command(run.status.remedy)}",
        f"loss      {end.loss:.4g} (from {run.start.loss:.4g}) at tbar = {end.time:.4g}",
        *([] if run.loss_target is None else [f"target    {of_this_command(run.loss_target)}"]),
        f"change    RD_w = {end.rd_w:.4g}, RD_a = {end.rd_a:.4g}",
        f"cost      {stats.steps} steps ({stats.rejected} rejected), {stats.seconds:.2f} s",
        f"drift     {stats.conservation_drift:.1e} of a_k^2 - |w_k|^2, which the flow conserves; "
        f"{stats.energy_drift:.1e} of the energy law",
    ]
    return [*lines, "", *paths(written)]


def run_as_json(run: Trajectory, scaling: Scaling, written: Sequence[Path]) -> dict[str, Any]:
    """The outcome of a run, for scripts."""
    return {
        "gamma": scaling.gamma,
        "gamma_prime": scaling.gamma_prime,
        "regime": scaling.regime.value,
        "width": run.initial.width,
        "status": run.status.name,
        "converged": run.converged,
        "time": run.end.time,
        "time_unit": run.time_unit,
        "loss": run.end.loss,
        "loss_target": None if run.loss_target is None else asdict(run.loss_target),
        "rd_w": run.end.rd_w,
        "rd_a": run.end.rd_a,
        "stats": asdict(run.stats),
        "written": [str(path) for path in written],
    }


def _row_as_json(row: Row) -> dict[str, Any]:
    return {
        "gamma": row.gamma,
        "gamma_prime": row.gamma_prime,
        "S_w": _finite(row.S_w.value),
        "S_w_interval": [_finite(row.S_w.low), _finite(row.S_w.high)],
        "S_w_predicted": row.predicted_S_w,
        "S_w_at_widths": None if row.at_widths is None else _finite(row.at_widths.S_w),
        "S_w_at_widths_error": None if row.at_widths is None else _finite(row.at_widths.S_w_error),
        "S_w_fluctuation": row.S_w.fluctuation,
        "S_a": _finite(row.S_a.value),
        "S_a_interval": [_finite(row.S_a.low), _finite(row.S_a.high)],
        "S_a_predicted": row.predicted_S_a,
        "S_a_at_widths": None if row.at_widths is None else _finite(row.at_widths.S_a),
        "verdict": row.verdict.value,
        "regime": row.regime.value,
        "not_yet_asymptotic": row.S_w.not_yet_asymptotic,
        "regime_agrees": row.regime_agrees,
        "agrees": row.agrees,
    }


def _finite(value: float) -> float | None:
    """JSON knows neither nan nor infinity."""
    return value if math.isfinite(value) else None


def _interval(low: float, high: float) -> str:
    """An interval in brackets; an end that nothing bounds is said to be open."""
    if math.isinf(low) and math.isinf(high):
        return "(no interval)"
    ends = ["open" if math.isinf(end) else f"{end:.3f}" for end in (low, high)]
    return f"[{ends[0]}, {ends[1]}]"


def _place(row: Row) -> tuple[str, str]:
    return f"{row.gamma_prime:.2f}", f"{row.gamma:.2f}"


def _slope(slope: Slope) -> str:
    if math.isnan(slope.value):
        return "no runs"
    if math.isinf(slope.low):
        return f"{signed(slope.value, 3)} (no interval)"
    return f"{signed(slope.value, 3)} +- {(slope.high - slope.low) / 2:.3f}"


def _at_widths(row: Row, name: str) -> str:
    """A prediction at these widths; a dash where there is none."""
    value = math.nan if row.at_widths is None else float(getattr(row.at_widths, name))
    return signed(value, 3) if math.isfinite(value) else "-"
