"""Floor 4: sweeps of cells over executors, their store, exponents with intervals, the phase diagram."""

from typing import TYPE_CHECKING

from meanfield.experiments import figures
from meanfield.experiments.boundaries import Boundary, boundary
from meanfield.experiments.boundary_search import Evaluation
from meanfield.experiments.cells import Cell, CellResult, CellSettings, cell_particles, run_cell
from meanfield.experiments.diagram import PhaseDiagram
from meanfield.experiments.ensemble_runs import EnsembleInterrupted, ensemble
from meanfield.experiments.ensembles import Ensemble, Training
from meanfield.experiments.exports import Merged, export_store, merge_stores, store_to_xarray
from meanfield.experiments.files import load
from meanfield.experiments.limit_map import limit_diagram
from meanfield.experiments.limit_points import LimitPoint, LimitResult, LimitSettings
from meanfield.experiments.origin import Origin
from meanfield.experiments.prediction import Prediction
from meanfield.experiments.presets import PRESETS, Preset
from meanfield.experiments.reference import PredictedSlopes, predicted_slopes
from meanfield.experiments.rows import Row
from meanfield.experiments.slopes import Bend, Slope, Verdict, fit_slope
from meanfield.experiments.spread import Spread
from meanfield.experiments.store import Record, SweepStore
from meanfield.experiments.straight_line import straight_line_zero
from meanfield.experiments.summary import methods_text, store_text
from meanfield.experiments.sweep import SweepInterrupted, phase_diagram, train_cells
from meanfield.experiments.zeros import Zero
from meanfield.names import old_names

__all__ = [
    "PRESETS",
    "Bend",
    "Boundary",
    "Cell",
    "CellResult",
    "CellSettings",
    "Ensemble",
    "EnsembleInterrupted",
    "Evaluation",
    "LimitPoint",
    "LimitResult",
    "LimitSettings",
    "Merged",
    "Origin",
    "PhaseDiagram",
    "PredictedSlopes",
    "Prediction",
    "Preset",
    "Record",
    "Row",
    "Slope",
    "Spread",
    "SweepInterrupted",
    "SweepStore",
    "Training",
    "Verdict",
    "Zero",
    "boundary",
    "cell_particles",
    "ensemble",
    "export_store",
    "figures",
    "fit_slope",
    "limit_diagram",
    "load",
    "merge_stores",
    "methods_text",
    "phase_diagram",
    "predicted_slopes",
    "run_cell",
    "store_text",
    "store_to_xarray",
    "straight_line_zero",
    "train_cells",
]


if not TYPE_CHECKING:  # type checkers see the names that are there
    __getattr__ = old_names(__name__, Predicted="PredictedSlopes")


def __dir__() -> list[str]:
    return sorted(__all__)
