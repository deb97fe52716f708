"""Every public entry with arguments that it takes, for tests that replace one of them.

Nothing is trained when this is imported: runs and sweeps are made when a test first asks for them, with
``ready``.
"""

import functools
import math

import numpy as np

import meanfield as mf
from meanfield import activations, datasets, experiments, figures, flow, limits, plotting, symbolic


class Later:
    """What a function makes when it is first needed; attributes and entries of it are made later, too."""

    def __init__(self, make):
        self._made = functools.cache(make)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Later(lambda: getattr(self._made(), name))

    def __getitem__(self, key):
        return Later(lambda: self._made()[key])


def ready(thing):
    """The thing, or the tuple, list or mapping, with all that was to be made later."""
    if isinstance(thing, Later):
        return thing._made()
    if type(thing) in (tuple, list):
        return type(thing)(map(ready, thing))
    return {key: ready(value) for key, value in thing.items()} if type(thing) is dict else thing


PROBLEM = mf.datasets.four_points()
INPUTS = PROBLEM.x[:, 0]
CLASSES = mf.Problem(INPUTS, [True, False, True, True], loss="logistic")
SCALING = mf.Scaling(0.5, 0.0)
NETWORK = mf.Particles.sample(PROBLEM, SCALING, 20, rng=0)
LAW = limits.KernelRegime.at(PROBLEM, SCALING, 1e3)
LINEAR = limits.Linearised(PROBLEM, NETWORK)
_GRID = {"gamma_prime": [0.0], "widths": [20, 40], "progress": False}
RUN = Later(lambda: mf.gradient_flow(PROBLEM, NETWORK, loss_atol=1e-3, save_path=True, progress=False))
LIMIT = Later(lambda: mf.infinite_width(PROBLEM, SCALING, width=20, tol=0.1, nodes=64))
ALIGNMENT = Later(lambda: limits.early_alignment(PROBLEM))
DIAGRAM = Later(lambda: mf.phase_diagram(PROBLEM, gamma=[0.5, 1.5], **_GRID))
BOUNDARY = Later(lambda: mf.boundary(PROBLEM, max_points=1, **_GRID))
ENSEMBLE = Later(
    lambda: mf.ensemble(PROBLEM, SCALING, 20, seeds=2, save_at=[1.0], loss_tol=0, save_parameters=True)
)
THEORY = Later(symbolic.derive_exponents)
TABLE = Later(lambda: figures.run("schemes"))
AXES = Later(plotting.new_axes)
CELL, SETTINGS = experiments.Cell(0.5, 0.0, 10, 0), experiments.CellSettings(loss_atol=1e-2)


def numeric(name: "str"):
    """Named parameters only are tried."""
    return ready(THEORY).numeric(name)


def write_files(folder):
    """The files that some of the entries read."""
    (folder / "two.csv").write_text("0, 1\n1, 2\n")
    (folder / "images").write_bytes(bytes([0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 1, *range(8)]))
    (folder / "labels").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 4, 0, 1, 0, 1]))
    mf.phase_diagram(
        PROBLEM, gamma=[0.5], gamma_prime=[0.0], widths=[10, 20], progress=False, store=folder / "kept.sqlite"
    )


ENTRIES = {
    "Problem": (mf.Problem, {"x": [0.0, 1.0, 2.0], "y": [1.0, 2.0, 0.0], "bias": True, "name": "three",
                             "standardise": False, "standardise_targets": False, "feature_names": ["t"],
                             "target_name": "u", "loss": "mean-square"}),
    "Problem.floors": (PROBLEM.floors, {"degree": 1.0}),
    "Problem.accuracy": (CLASSES.accuracy, {"output": PROBLEM.y}),
    "Problem.margin": (CLASSES.margin, {"output": PROBLEM.y}),
    "Loss": (
        mf.Loss,
        {"name": "mine", "value": min, "pull": min, "curvature": min, "formula": "f", "targets": abs,
         "labels": False, "quadratic": False, "several": False, "unit": "1", "summary": "mine"},
    ),
    "Problem.to_target_units": (PROBLEM.to_target_units, {"values": [1.0]}),
    "Problem.same_as": (PROBLEM.same_as, {"other": PROBLEM}),
    "Problem.inputs": (PROBLEM.inputs, {"x": [1.0]}),
    "Problem.standardised": (PROBLEM.standardised, {"features": True, "targets": True, "name": "three"}),
    "Problem.with_bias": (PROBLEM.with_bias, {"x": [1.0]}),
    "LimitSettings.theory": (
        experiments.LimitSettings(1e-2).theory, {"gamma": [1.0], "gamma_prime": 0.0},
    ),
    "CellSettings.theory": (SETTINGS.theory, {"gamma": [1.0], "gamma_prime": 0.0}),
    "Scaling": (mf.Scaling, {"gamma": 1.0, "gamma_prime": 0.0, "name": "mine"}),
    "Scaling of laws": (mf.Scaling, {"alpha": "m", "beta1": 1.0, "beta2": "1/d", "name": "mine"}),
    "Scaling.named": (mf.Scaling.named, {"scheme": "e-ma-wu", "b": 1.0}),
    "Scaling.from_abc": (mf.Scaling.from_abc, {"a": (0, 0), "b": (0, 0.5), "name": "mine"}),
    "Scaling.kappa": (mf.Scaling.named("xavier").kappa, {"m": 100, "d": 2}),
    "Scaling.kappa_prime": (mf.Scaling.named("xavier").kappa_prime, {"m": 100, "d": 2}),
    "Scaling.beta2": (mf.Scaling.named("xavier").beta2, {"m": 100, "d": 2}),
    "Scaling.tbar": (mf.Scaling.named("xavier").tbar, {"steps": 1, "learning_rate": 0.1, "m": 10, "d": 2}),
    "Scaling.steps": (mf.Scaling.named("xavier").steps, {"tbar": 1, "learning_rate": 0.1, "m": 10, "d": 2}),
    "PowerLaw": (mf.PowerLaw, {"prefactor": 1.0, "exponent": 1.0}),
    "classify": (mf.classify, {"gamma": 1.0, "gamma_prime": 0.0, "antisymmetric": True}),
    "exponents": (mf.exponents, {"gamma": 1.0, "gamma_prime": 0.0, "antisymmetric": True}),
    "Regime.classify": (mf.Regime.classify, {"gamma": 1.0, "gamma_prime": 0.0}),
    "Activation": (
        mf.Activation,
        {
            "name": "mine", "value": np.sin, "slope": np.cos, "curvature": None, "both": None,
            "formula": "sin(z)", "degree": None, "slopes": None, "at_zero": None, "at_infinity": None,
            "dual": None,
        },
    ),
    "Activation.products": (
        activations.RELU.products, {"length": [1.0], "other": 1.0, "angle": [0.5]},
    ),
    "activations.as_activation": (activations.as_activation, {"given": "tanh"}),
    "activations.leaky_relu": (activations.leaky_relu, {"slope": 0.2}),
    "activations.hermite": (activations.hermite, {"order": 3}),
    "Particles.sample": (
        mf.Particles.sample,
        {
            "problem": PROBLEM, "scaling": SCALING, "width": 10, "antisymmetric": True, "reduced": False,
            "activation": "tanh", "beta2": 1.0, "zero_bias": False, "factor": 1.0, "rng": 0,
        },
    ),
    "Particles.quadrature": (
        mf.Particles.quadrature,
        {"problem": PROBLEM, "scaling": SCALING, "width": 10, "nodes": 32, "activation": "relu",
         "beta2": 1.0, "rng": 0},
    ),
    "Particles.from_arrays": (
        mf.Particles.from_arrays,
        {"a": [1.0, 2.0], "w": np.eye(2), "kappa": 1.0, "kappa_prime": 1.0, "weight": [1.0, 1.0],
         "activation": "tanh", "beta2": 1.0},
    ),
    "Particles.output": (NETWORK.output, {"x": PROBLEM.x}),
    "Particles.activations": (NETWORK.activations, {"x": PROBLEM.x, "neurons": slice(None)}),
    "Particles.trained": (NETWORK.trained, {"a": 0.5, "w": 2.0}),
    "Particles.preactivations": (NETWORK.preactivations, {"x": PROBLEM.x, "neurons": slice(None)}),
    "Particles.coordinates": (NETWORK.coordinates, {"problem": PROBLEM}),
    "Particles.pushed": (NETWORK.pushed, {"size": 1e-6, "rng": 0}),
    "gradient_flow": (
        mf.gradient_flow,
        {
            "problem": PROBLEM, "particles": NETWORK, "loss_tol": 1e-3, "loss_atol": None, "t_end": 10.0,
            "save_at": [1.0], "rtol": 1e-2, "atol": 1e-6, "method": "residual", "max_steps": 50,
            "max_seconds": 60.0, "stationarity": 1e-6, "stop": None, "save_parameters": True,
            "save_path": False, "progress": False,
        },
    ),
    "flow.replay": (
        flow.replay,
        {"problem": PROBLEM, "particles": NETWORK, "path": RUN.path, "save_parameters": True},
    ),
    "gradient_descent": (
        mf.gradient_descent,
        {
            "problem": PROBLEM, "particles": NETWORK, "learning_rate": 0.1, "loss_tol": 1e-3,
            "loss_atol": None, "max_steps": 50, "max_seconds": 60.0, "stop": None,
            "save_parameters": True, "progress": False,
        },
    ),
    "ensemble": (
        mf.ensemble,
        {
            "problem": PROBLEM, "scaling": SCALING, "width": 10, "seeds": 2, "save_at": [1.0],
            "loss_tol": 1e-3, "loss_atol": None, "t_end": 10.0, "rtol": 1e-2, "atol": 1e-6,
            "method": "residual", "max_steps": 50, "save_parameters": True, "antisymmetric": True,
            "activation": "relu", "beta2": None, "rng": 0, "executor": None, "done": None, "progress": False,
        },
    ),
    "Ensemble.predict": (ENSEMBLE.predict, {"x": [0.0], "at": None}),
    "experiments.Spread": (experiments.Spread, {"values": np.ones((2, 3))}),
    "experiments.Spread.band": (ENSEMBLE.loss.band, {"level": 0.9, "of": "seeds"}),
    "experiments.Spread.quantile": (ENSEMBLE.loss.quantile, {"q": 0.5}),
    "limits.load": (limits.load, {"path": "missing.npz", "activation": None}),
    "PhaseDiagram.save": (DIAGRAM.save, {"path": "map"}),
    "PhaseDiagram.load": (mf.PhaseDiagram.load, {"path": "missing.npz"}),
    "Trajectory.predict": (RUN.predict, {"x": [0.0], "at": None}),
    "Trajectory.when": (RUN.when, {"loss": 1e-2, "accuracy": None, "margin": None}),
    "Trajectory.load": (mf.Trajectory.load, {"path": "missing.npz", "activation": None}),
    "load": (mf.load, {"path": "missing.npz", "activation": None}),
    "infinite_width": (
        mf.infinite_width,
        {
            "problem": PROBLEM, "scaling": SCALING, "width": 1e3, "tol": 0.1, "loss_tol": 1e-3,
            "loss_atol": 1e-9, "nodes": 64, "max_nodes": 512, "method": "auto", "rng": 0, "t_end": 1e3,
            "save_at": [1.0], "save_parameters": True, "progress": False,
        },
    ),
    "limits.limit_displacements": (
        limits.limit_displacements,
        {"problem": PROBLEM, "scaling": SCALING, "widths": [1e3], "tol": 1e-2, "loss_tol": 1e-3,
         "loss_atol": 1e-9, "nodes": 64, "progress": False},
    ),
    "Problem.restored": (
        mf.Problem.restored,
        {"x": [0.5, 1.0], "y": [1.0, 2.0], "described": PROBLEM.described()},
    ),
    "limits.KernelRegime": (
        limits.KernelRegime,
        {"problem": PROBLEM, "width": 1e3, "kappa": 1.0, "kappa_prime": 1.0},
    ),
    "limits.KernelRegime.at": (
        limits.KernelRegime.at,
        {"problem": PROBLEM, "scaling": SCALING, "width": 1e3},
    ),
    "limits.KernelRegime.loss": (LAW.loss, {"t": 1.0}),
    "limits.KernelRegime.output": (LAW.output, {"x": [1.0], "t": 1.0}),
    "limits.KernelRegime.time_to": (LAW.time_to, {"loss": 1e-3}),
    "limits.KernelRegime.displacement": (LAW.displacement, {"t": 1.0, "nodes": NETWORK}),
    "limits.Linearised": (limits.Linearised, {"problem": PROBLEM, "network": NETWORK}),
    "limits.Linearised.loss": (LINEAR.loss, {"t": 1.0}),
    "limits.Linearised.output": (LINEAR.output, {"x": [1.0], "t": 1.0}),
    "limits.Linearised.time_to": (LINEAR.time_to, {"loss": 1e-3}),
    "limits.Linearised.displacement": (LINEAR.displacement, {"t": 1.0}),
    "limits.empirical_kernels": (
        limits.empirical_kernels,
        {"particles": NETWORK, "x": INPUTS, "other": INPUTS, "problem": PROBLEM},
    ),
    "limits.arc_cosine_kernels": (
        limits.arc_cosine_kernels,
        {"x": INPUTS, "other": INPUTS, "problem": PROBLEM},
    ),
    "limits.early_alignment": (limits.early_alignment, {"problem": PROBLEM, "rng": 0}),
    "EarlyAlignment.escape_time": (ALIGNMENT.escape_time, {"scaling": SCALING, "width": 1e3}),
    "limits.compare": (limits.compare, {"run": RUN, "limit": LIMIT}),
    "limits.convergence_rate": (
        limits.convergence_rate,
        {"widths": [10, 100, 1000], "deviations": [[0.3], [0.1], [0.03]], "confidence": 0.95},
    ),
    "limits.mean_run": (limits.mean_run, {"runs": [RUN], "at": [1.0]}),
    "datasets.function_1d": (
        datasets.function_1d,
        {"function": abs, "n": 4, "low": -1.0, "high": 1.0, "name": "mine"},
    ),
    "datasets.circle": (datasets.circle, {"n": 4, "target": math.sin, "bias": True, "name": "mine"}),
    "datasets.teacher": (
        datasets.teacher,
        {"n": 4, "d_in": 2, "neurons": 2, "rng": 0, "noise": 0.0, "bias": True, "name": "mine"},
    ),
    "datasets.digits": (datasets.digits, {"n": 4, "classes": (0, 1), "rng": 0, "bias": True,
                                          "loss": "mean-square"}),
    "datasets.load": (
        datasets.load,
        {"path": "two.csv", "bias": True, "targets": None, "columns": None, "standardise": False,
         "standardise_targets": False, "delimiter": None, "decimal": None, "thousands": None, "loss": None},
    ),
    "datasets.load_idx": (
        datasets.load_idx,
        {"images": "images", "labels": "labels", "n": 3, "classes": (0, 1), "rng": 0, "bias": True,
         "loss": "mean-square"},
    ),
    "phase_diagram": (
        mf.phase_diagram,
        {
            "problem": PROBLEM, "gamma": [0.5], "gamma_prime": [0.0], "widths": [10, 20], "seeds": 1,
            "executor": None, "store": None, "shard": None, "memory": None, "antisymmetric": True,
            "per_half": False, "loss_tol": None, "loss_atol": 1e-4, "rtol": 0.1, "max_steps": 20, "rng": 0,
            "activation": "relu", "beta2": None,
            "confidence": 0.9, "progress": False, "live": None, "live_seconds": 0.0, "predict": None,
        },
    ),
    "boundary": (
        mf.boundary,
        {
            "problem": PROBLEM, "gamma_prime": [0.0], "widths": [10, 20], "seeds": 1, "tol": 0.5,
            "reach": 0.5, "max_points": 1, "executor": None, "store": None, "memory": None,
            "antisymmetric": True, "per_half": False, "loss_tol": 1e-2, "loss_atol": None, "rtol": 0.1,
            "activation": "relu", "beta2": None,
            "max_steps": 20, "rng": 0, "confidence": 0.9, "progress": False,
        },
    ),
    "limit_diagram": (
        mf.limit_diagram,
        {
            "problem": PROBLEM, "gamma": [0.5], "gamma_prime": [0.0], "widths": [1e10, 1e20], "nodes": 64,
            "loss_tol": None, "loss_atol": 1e-4, "executor": None, "progress": False,
        },
    ),
    "symbolic.derive_exponents": (symbolic.derive_exponents, {"network": None}),
    "symbolic.boundaries": (symbolic.boundaries, {"network": None}),
    "Region.sign": (THEORY.regions[0].sign, {"layer": "w"}),
    "symbolic.regions": (symbolic.regions, {"network": None}),
    "symbolic.TwoLayer": (
        symbolic.TwoLayer,
        {
            "homogeneity": 1, "train_input": True, "train_output": True, "input_rate": 0, "output_rate": 0,
            "zero_initial_output": True, "target": 0, "loss_normalisation": 0, "law": "gaussian",
        },
    ),
    "Exponents.numeric": (numeric, {"name": "S_w"}),
    "plotting.orientations": (
        plotting.orientations,
        {"neurons": RUN, "ax": None, "problem": None, "label": None, "legend": None, "colorbar": True,
         "cmap": None, "key": None},
    ),
    "plotting.loss": (
        plotting.loss,
        {"runs": RUN, "ax": None, "labels": None, "label": None, "legend": None, "cmap": None},
    ),
    "plotting.learned_function": (
        plotting.learned_function,
        {"runs": RUN, "ax": None, "x": None, "labels": None, "label": None, "legend": None, "cmap": None,
         "key": None},
    ),
    "plotting.phase_diagram": (
        plotting.phase_diagram,
        {
            "diagram": DIAGRAM, "ax": None, "layer": "w", "schemes": True, "numbers": True, "legend": None,
            "colorbar": True, "cmap": None, "label": None, "key": None, "limit": None, "theory": None,
            "boundary": None, "published_zeros": [(0.0, 1.0)],
        },
    ),
    "plotting.rd_against_width": (
        plotting.rd_against_width,
        {"diagram": DIAGRAM, "points": [(0.5, 0.0)], "ax": None, "published": None, "legend": None,
         "label": None},
    ),
    "plotting.exponent_map": (
        plotting.exponent_map,
        {"theory": THEORY, "ax": None, "gamma": (0.0, 2.0), "gamma_prime": (-1.0, 1.0), "layer": "w",
         "schemes": True, "label": None, "legend": None, "cmap": None},
    ),
    "plotting.boundary": (
        plotting.boundary,
        {"found": BOUNDARY, "ax": None, "label": None, "legend": None},
    ),
    "plotting.loss_and_kernel": (
        plotting.loss_and_kernel,
        {"run": RUN, "axes": None, "label": None, "legend": None},
    ),
    "plotting.ensemble_curves": (
        plotting.ensemble_curves,
        {"ensemble": ENSEMBLE, "ax": None, "of": "loss", "level": 0.9, "band": "seeds", "seeds": True,
         "label": None, "legend": None},
    ),
    "plotting.ensemble_function": (
        plotting.ensemble_function,
        {"ensemble": ENSEMBLE, "ax": None, "x": None, "level": 0.9, "band": "seeds", "seeds": True,
         "label": None, "legend": None},
    ),
    "plotting.exponents_along_gamma": (
        plotting.exponents_along_gamma,
        {"diagram": DIAGRAM, "ax": None, "gamma_prime": None, "layers": ["S_w"], "label": None,
         "legend": None},
    ),
    "plotting.figure": (plotting.figure, {"result": TABLE}),
    "plotting.approach": (
        plotting.approach,
        {"runs": [RUN], "limit": LIMIT, "ax": None, "label": None, "legend": None, "cmap": None},
    ),
    "plotting.convergence": (
        plotting.convergence,
        {"comparisons": [], "ax": None, "label": None, "legend": None},
    ),
    "plotting.save": (plotting.save, {"figure": AXES, "path": "figure", "formats": "svg"}),
    "plotting.new_axes": (plotting.new_axes, {"width": "column", "height": None}),
    "Problem.loss": (PROBLEM.loss, {"output": PROBLEM.y}),
    "Scaling.classify": (SCALING.classify, {"antisymmetric": True}),
    "Trajectory.particles": (RUN.particles, {"at": None}),
    "Trajectory.save": (RUN.save, {"path": "run"}),
    "PhaseDiagram.to_csv": (DIAGRAM.to_csv, {"path": "table.csv"}),
    "PhaseDiagram.runs_to_csv": (DIAGRAM.runs_to_csv, {"path": "table.csv"}),
    "Boundary.to_csv": (BOUNDARY.to_csv, {"path": "table.csv"}),
    "limits.KernelRegime.impulse": (LAW.impulse, {"t": 1.0}),
    "limits.KernelRegime.residual": (LAW.residual, {"t": 1.0}),
    "limits.Linearised.impulse": (LINEAR.impulse, {"t": 1.0}),
    "limits.Linearised.impulse_products": (LINEAR.impulse_products, {"t": 1.0}),
    "limits.Linearised.residual": (LINEAR.residual, {"t": 1.0}),
    "limits.KernelRegime.to_pandas": (LAW.to_pandas, {"t": 1.0}),
    "limits.KernelRegime.to_xarray": (LAW.to_xarray, {"t": 1.0}),
    "limits.Linearised.to_pandas": (LINEAR.to_pandas, {"t": 1.0}),
    "limits.Linearised.to_xarray": (LINEAR.to_xarray, {"t": 1.0}),
    "limits.KernelRegime.nonlinearity": (LAW.nonlinearity, {"t": 1.0}),
    "EarlyAlignment.shares": (ALIGNMENT.shares, {"scaling": SCALING, "width": 1e3, "nodes": 64}),
    "flow.tangent_kernel": (flow.tangent_kernel, {"problem": PROBLEM, "particles": NETWORK}),
    "flow.kernel_alignment": (
        flow.kernel_alignment,
        {"K": np.eye(4), "y": PROBLEM.y, "centred": False},
    ),
    "flow.effective_orientations": (
        flow.effective_orientations,
        {"problem": PROBLEM, "particles": NETWORK, "resolution": 0.1},
    ),
    "flow.dead_fraction": (flow.dead_fraction, {"problem": PROBLEM, "particles": NETWORK}),
    "flow.pinned_fraction": (
        flow.pinned_fraction,
        {"problem": PROBLEM, "particles": NETWORK, "by_amplitude": True, "tol": 1e-9},
    ),
    "experiments.fit_slope": (
        experiments.fit_slope,
        {"widths": [10, 20], "values": [[0.1], [0.2]], "confidence": 0.9},
    ),
    "experiments.straight_line_zero": (
        experiments.straight_line_zero,
        {"gamma": [0.5, 1.5], "S_w": [-0.5, 0.25]},
    ),
    "experiments.predicted_slopes": (
        experiments.predicted_slopes,
        {"problem": PROBLEM, "settings": SETTINGS, "widths": [10, 20], "gamma": 1.0, "gamma_prime": 0.0},
    ),
    "experiments.cell_particles": (
        experiments.cell_particles,
        {"problem": PROBLEM, "cell": CELL, "settings": SETTINGS},
    ),
    "experiments.run_cell": (experiments.run_cell, {"problem": PROBLEM, "cell": CELL, "settings": SETTINGS}),
    "experiments.train_cells": (
        experiments.train_cells,
        {
            "problem": PROBLEM, "cells": [CELL], "settings": SETTINGS, "finished": {}, "executor": None,
            "store": None, "memory": None, "progress": False, "live": None,
        },
    ),
    "FigureResult.to_csv": (TABLE.to_csv, {"path": "table.csv"}),
    "InfiniteWidth.predict": (LIMIT.predict, {"x": [0.0], "at": None}),
    "InfiniteWidth.predict_error": (LIMIT.predict_error, {"x": [0.0], "at": None}),
    "BoundaryLine.segment": (
        THEORY.boundaries[0].segment,
        {"gamma": (0.0, 2.0), "gamma_prime": (-1.0, 1.0)},
    ),
    "TwoLayer.displacement": (symbolic.TwoLayer().displacement, {"layer": "w"}),
    "ThreeLayer.displacement": (symbolic.ThreeLayer().displacement, {"layer": "w"}),
    "experiments.methods_text": (experiments.methods_text, {"diagram": DIAGRAM}),
    "experiments.export_store": (experiments.export_store, {"path": "kept.sqlite", "target": "table.csv"}),
    "experiments.merge_stores": (
        experiments.merge_stores,
        {"into": "merged.sqlite", "parts": ["kept.sqlite"]},
    ),
    "experiments.SweepStore.open": (experiments.SweepStore.open, {"path": "kept.sqlite"}),
    "figures.run": (
        figures.run,
        {
            "name": "schemes", "quick": True, "seed": 0, "executor": None, "store": None, "width": 1000,
            "dim": 2, "images": None, "labels": None, "progress": False,
        },
    ),
    "figures.entry": (figures.entry, {"name": "schemes"}),
    "symbolic.ThreeLayer": (symbolic.ThreeLayer, {"hidden_rate": 0, "zero_initial_output": True}),
    "Exponents.piecewise": (THEORY.piecewise, {"layer": "w"}),
    "Exponents.to_xarray": (THEORY.to_xarray, {"gamma": [0.5], "gamma_prime": [0.0]}),
    "Exponents.latex": (THEORY.latex, {"layer": "w"}),
}  # fmt: skip
