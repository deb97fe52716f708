"""One ``load`` for all results that ``save`` writes."""

from __future__ import annotations

import os

from meanfield.activations import Activation
from meanfield.experiments.diagram import PhaseDiagram
from meanfield.flow import Trajectory
from meanfield.flow.trajectory import Reader, load_saved
from meanfield.limits.result import READERS


def load(path: str | os.PathLike[str], *, activation: Activation | None = None) -> Trajectory | PhaseDiagram:
    """Read what ``save`` has written: a run, a limit of infinite width, or a phase diagram.

    Parameters
    ----------
    path : path-like
        The file, which says what it holds; also of earlier versions of this package.
    activation : Activation, optional
        Needed for a run whose activation is the user's own: a file knows its name and no more. It has to
        make the outputs that were saved.

    Returns
    -------
    Trajectory, InfiniteWidth or PhaseDiagram
        A limit with its stated error, a diagram with its runs and predictions.

    Raises
    ------
    InputError
        If the file is missing, damaged or something else, or the activation is needed, or another one.

    Examples
    --------
    >>> import tempfile
    >>> import meanfield as mf
    >>> problem = mf.datasets.four_points()
    >>> limit = mf.infinite_width(problem, mf.Scaling(gamma=0.5), width=1e30)
    >>> diagram = mf.limit_diagram(problem, gamma=[0.5, 1.5], gamma_prime=[0.0])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = [mf.load(result.save(f"{folder}/result")) for result in (limit, diagram)]
    >>> [type(result).__name__ for result in again], again[0].error == limit.error
    (['InfiniteWidth', 'PhaseDiagram'], True)
    """
    readers: dict[str, Reader[Trajectory | PhaseDiagram]] = {
        **READERS,
        "diagram": PhaseDiagram._from_file,
    }
    return load_saved(path, readers, activation)
