"""Floor 4: sweeps of cells over executors, their store, exponents with intervals, the phase diagram."""

from meanfield.experiments.cells import Cell, CellResult, CellSettings, cell_particles, run_cell
from meanfield.experiments.diagram import PhaseDiagram, Row, Zero
from meanfield.experiments.limit_map import limit_diagram
from meanfield.experiments.presets import PRESETS, Preset
from meanfield.experiments.slopes import Slope, Verdict, fit_slope
from meanfield.experiments.store import SweepStore
from meanfield.experiments.sweep import SweepInterrupted, phase_diagram, train_cells

__all__ = [
    "PRESETS",
    "Cell",
    "CellResult",
    "CellSettings",
    "PhaseDiagram",
    "Preset",
    "Row",
    "Slope",
    "SweepInterrupted",
    "SweepStore",
    "Verdict",
    "Zero",
    "cell_particles",
    "fit_slope",
    "limit_diagram",
    "phase_diagram",
    "run_cell",
    "train_cells",
]
