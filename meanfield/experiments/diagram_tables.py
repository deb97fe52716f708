"""A phase diagram as a table and as a data set."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.exporting import dataset, frame

if TYPE_CHECKING:
    import pandas
    import xarray

    from meanfield.experiments.diagram import PhaseDiagram

#: Columns of the table of runs.
RUN_COLUMNS = (
    "gamma", "gamma_prime", "width", "seed", "rd_w", "rd_a", "loss", "time", "status", "steps",
    "conservation_drift", "capacity",
)  # fmt: skip
LIMIT_COLUMNS = (
    "gamma", "gamma_prime", "width", "rd_w", "rd_a", "loss", "time", "status", "steps", "source",
)  # fmt: skip
#: What of the summary is a map over the plane, and not an axis of it.
_AXES = ("gamma", "gamma_prime")


def summary(diagram: PhaseDiagram) -> dict[str, list[Any]]:
    """The summary table by columns, one entry for each point; None where something is not known."""
    rows = diagram.rows
    widths = [row.at_widths for row in rows]
    return {
        "gamma": [r.gamma for r in rows],
        "gamma_prime": [r.gamma_prime for r in rows],
        "S_w": [r.S_w.value for r in rows],
        "S_w_low": [r.S_w.low for r in rows],
        "S_w_high": [r.S_w.high for r in rows],
        "S_w_predicted": [r.predicted_S_w for r in rows],
        "S_a": [r.S_a.value for r in rows],
        "S_a_low": [r.S_a.low for r in rows],
        "S_a_high": [r.S_a.high for r in rows],
        "S_a_predicted": [r.predicted_S_a for r in rows],
        "verdict": [r.verdict.value for r in rows],
        "not_yet_asymptotic": [r.S_w.not_yet_asymptotic for r in rows],
        "regime": [r.regime.value for r in rows],
        "regime_agrees": [r.regime_agrees for r in rows],
        "S_w_at_widths": [None if p is None else p.S_w for p in widths],
        "S_w_at_widths_error": [None if p is None else p.S_w_error for p in widths],
        "S_a_at_widths": [None if p is None else p.S_a for p in widths],
        "S_a_at_widths_error": [None if p is None else p.S_a_error for p in widths],
        "S_w_fluctuation": [r.S_w.fluctuation for r in rows],
        "agrees": [r.agrees for r in rows],
    }


def runs(diagram: PhaseDiagram) -> dict[str, list[Any]]:
    """Every run by columns (all but its wall time, so that tables are reproducible)."""
    return {
        name: [getattr(r.cell, name) if hasattr(r.cell, name) else getattr(r, name) for r in diagram.results]
        for name in (LIMIT_COLUMNS if diagram.of_limit else RUN_COLUMNS)
    }


def summary_frame(diagram: PhaseDiagram) -> pandas.DataFrame:
    """The summary as a table of pandas, its rows named by gamma_prime and gamma."""
    columns: dict[str, Any] = summary(diagram)
    index = {name: np.array(columns.pop(name)) for name in ("gamma_prime", "gamma")}
    for name in ("S_w_at_widths", "S_w_at_widths_error", "S_a_at_widths", "S_a_at_widths_error"):
        columns[name] = np.array(columns[name], dtype=np.float64)  # None becomes nan
    return frame(columns, index, attributes(diagram))


def runs_frame(diagram: PhaseDiagram) -> pandas.DataFrame:
    """Every run as a table of pandas."""
    return frame(runs(diagram), None, attributes(diagram))


def diagram_dataset(diagram: PhaseDiagram) -> xarray.Dataset:
    """Maps over gamma_prime and gamma, displacements over width and seed, too."""
    shape, plane = (len(diagram.gamma_prime), len(diagram.gamma)), ("gamma_prime", "gamma")
    variables: dict[str, Any] = {}
    for name, values in summary(diagram).items():
        if name in _AXES:
            continue
        known = name.replace("S_w_predicted", "predicted_S_w").replace("S_a_predicted", "predicted_S_a")
        # Of truth values that may not be known, and numbers: 1, 0 and nan.
        unknown = name in ("agrees", "regime_agrees") or any(value is None for value in values)
        array = np.array(values, dtype=np.float64 if unknown else None)
        variables[known] = (plane, array.reshape(shape))
    whole = (*plane, "width", "seed")
    variables |= {"rd_w": (whole, diagram.rd_w), "rd_a": (whole, diagram.rd_a)}
    coordinates = {
        "gamma_prime": diagram.gamma_prime, "gamma": diagram.gamma, "width": diagram.widths,
        "seed": diagram.seeds,
    }  # fmt: skip
    return dataset(variables, coordinates, attributes(diagram))


def attributes(diagram: PhaseDiagram) -> dict[str, Any]:
    """What holds for the diagram as a whole."""
    return {
        "problem": diagram.problem.name,
        "problem_sha256": diagram.problem.fingerprint,
        "confidence": diagram.confidence,
        "missing": diagram.missing,
        "settings": json.dumps(diagram.settings.described(), sort_keys=True),
    }
