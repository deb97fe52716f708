"""The file of a phase diagram: its grid, every run behind it, the predictions, where it was computed."""

from __future__ import annotations

import json
import math
import os
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import InputError
from meanfield.experiments.cells import Cell, CellResult, CellSettings
from meanfield.experiments.layout import CELL_COLUMNS, RESULT_COLUMNS
from meanfield.experiments.limit_points import LimitPoint, LimitResult, LimitSettings
from meanfield.experiments.origin import Origin
from meanfield.experiments.prediction import Prediction
from meanfield.experiments.reference import PredictedSlopes, ReferenceSlope
from meanfield.flow.saved import write_archive
from meanfield.problem import Problem

if TYPE_CHECKING:
    from meanfield.experiments.diagram import PhaseDiagram

_AXES = ("gamma", "gamma_prime", "widths", "seeds")
_MAPS = ("rd_w", "rd_a")
_POINT_COLUMNS = tuple(field.name for field in fields(LimitPoint))
_LIMIT_COLUMNS = tuple(field.name for field in fields(LimitResult) if field.name != "cell")
#: Texts, which are no arrays in the file.
_TEXTS = ("status", "source")
_PREDICTED = tuple(field.name for field in fields(PredictedSlopes))


def write_diagram(diagram: PhaseDiagram, path: str | os.PathLike[str]) -> Path:
    """Write a diagram to an NPZ file and return its path."""
    meta = {
        "kind": "diagram",
        "problem": diagram.problem.described(),
        "settings": diagram.settings.described(),
        "confidence": diagram.confidence,
        "missing": diagram.missing,
        "uncertainty": diagram.uncertainty,
        "origins": [json.loads(origin.as_json()) for origin in diagram.origins],
        "of_limit": diagram.of_limit,
    }
    cell_columns, columns = _columns(diagram.of_limit)
    results = diagram.results
    meta |= {name: [getattr(one, name) for one in results] for name in columns if name in _TEXTS}
    arrays = {name: getattr(diagram, name) for name in (*_AXES, *_MAPS)}
    arrays |= {"x": diagram.problem.x[:, : diagram.problem.d_in], "y": diagram.problem.y}
    arrays |= {
        f"cell_{name}": np.array([getattr(one.cell, name) for one in results]) for name in cell_columns
    }
    arrays |= {
        f"run_{name}": np.array([getattr(one, name) for one in results])
        for name in columns
        if name not in _TEXTS
    }
    if diagram.prediction is not None:
        arrays |= _prediction_arrays(diagram.prediction)
    return write_archive(path, meta, arrays, "the diagram")


def read_diagram(
    kind: type[PhaseDiagram], meta: dict[str, Any], arrays: dict[str, NDArray[Any]]
) -> PhaseDiagram:
    """The diagram that a file holds.

    Raises
    ------
    InputError
        If its parts do not fit together.
    """
    problem = Problem.restored(arrays["x"], arrays["y"], meta["problem"])
    shape = tuple(len(arrays[name]) for name in ("gamma_prime", "gamma", "widths", "seeds"))
    for name in _MAPS:
        if arrays[name].shape != shape or arrays[name].dtype != np.float64:
            raise InputError(f"{name} has shape {arrays[name].shape}, expected {shape}")
    numbers = (meta["confidence"], meta["uncertainty"])
    if not all(isinstance(value, float) and 0.0 <= value < 1.0 for value in numbers):
        raise InputError(f"its confidence and uncertainty are {numbers}")
    if "of_limit" not in meta:
        meta = _upgraded(meta, arrays)
    settings = (LimitSettings if meta["of_limit"] else CellSettings).restored(meta["settings"])
    return kind(
        problem=problem,
        settings=settings,
        **{name: arrays[name] for name in (*_AXES, *_MAPS)},
        confidence=meta["confidence"],
        results=_results(arrays, meta),
        missing=int(meta["missing"]),
        uncertainty=meta["uncertainty"],
        origins=tuple(Origin.from_json(json.dumps(origin)) for origin in meta["origins"]),
        prediction=_prediction(arrays, shape[:2]) if "predicted_S_w" in arrays else None,
    )


def _columns(of_limit: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of what is kept of a cell, and of its run."""
    return (_POINT_COLUMNS, _LIMIT_COLUMNS) if of_limit else (CELL_COLUMNS, RESULT_COLUMNS)


def _upgraded(meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """What the file of an older version says: maps of the limit were written as if they held networks."""
    of_limit = meta["uncertainty"] > 0.0
    if not of_limit:
        return meta | {"of_limit": False}
    steps = arrays["run_steps"].tolist()
    return meta | {
        "of_limit": True,
        "settings": {"loss_atol": meta["settings"]["loss_atol"]},
        "source": ["mean-field" if taken else "kernel" for taken in steps],
    }


def _results(
    arrays: dict[str, NDArray[Any]], meta: dict[str, Any]
) -> tuple[CellResult, ...] | tuple[LimitResult, ...]:
    cell_columns, columns = _columns(meta["of_limit"])
    cells = zip(*(arrays[f"cell_{name}"].tolist() for name in cell_columns), strict=True)
    runs = zip(
        *(list(map(str, meta[n])) if n in _TEXTS else arrays[f"run_{n}"].tolist() for n in columns),
        strict=True,
    )
    found = [(cell, dict(zip(columns, run, strict=True))) for cell, run in zip(cells, runs, strict=True)]
    if meta["of_limit"]:
        return tuple(LimitResult(cell=LimitPoint(*cell), **run) for cell, run in found)
    return tuple(CellResult(cell=Cell(*cell), **run) for cell, run in found)


def _prediction_arrays(prediction: Prediction) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {
        f"predicted_{name}": np.array([[getattr(point, name) for point in row] for row in prediction.points])
        for name in _PREDICTED
    }
    for k, curve in enumerate(prediction.curves):
        arrays |= {f"curve_{k}_at": curve.curve.x, f"curve_{k}_parts": curve.curve.c}
        arrays |= {f"curve_{k}_where": np.array([curve.gamma_prime, curve.predicted])}
    return arrays


def _prediction(arrays: dict[str, NDArray[Any]], shape: tuple[int, ...]) -> Prediction:
    from scipy.interpolate import PPoly  # a heavy import

    if any(arrays[f"predicted_{name}"].shape != shape for name in _PREDICTED):
        raise InputError(f"its predictions are not of the shape {shape}")
    columns = {name: arrays[f"predicted_{name}"].tolist() for name in _PREDICTED}
    points = tuple(
        tuple(PredictedSlopes(**{name: columns[name][i][j] for name in _PREDICTED}) for j in range(shape[1]))
        for i in range(shape[0])
    )
    curves, k = [], 0
    while f"curve_{k}_at" in arrays:
        at, parts, where = (arrays[f"curve_{k}_{name}"] for name in ("at", "parts", "where"))
        # The same polynomials, so that the curve has the same bits.
        curve = PPoly(np.ascontiguousarray(parts), np.ascontiguousarray(at), extrapolate=False)
        curves.append(ReferenceSlope(float(where[0]), float(where[1]), curve))
        k += 1
    if k not in (0, shape[0]) or not all(math.isfinite(curve.predicted) for curve in curves):
        raise InputError(f"it has {k} curves for {shape[0]} values of gamma_prime")
    return Prediction(points, tuple(curves))
