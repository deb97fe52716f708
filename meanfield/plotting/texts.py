"""Names that users gave, in texts of figures."""

from __future__ import annotations

import matplotlib
from matplotlib.axes import Axes

from meanfield.plotting.guests import name_axes
from meanfield.problem import Problem

#: Characters that TeX reads as commands.
_COMMANDS = {mark: rf"\{mark}" for mark in "$%&#_{}"}
_TEX = str.maketrans(
    _COMMANDS | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)


def verbatim(text: str) -> str:
    """Text that is drawn as it is: no part of it is read as a formula.

    Examples
    --------
    >>> print(verbatim("cost_in_$ (50 %, not $)"))
    cost_in_\\$ (50 %, not \\$)
    """
    if matplotlib.rcParams["text.usetex"]:
        return text.translate(_TEX)
    return text.replace("$", r"\$")


def name_loss(problem: Problem) -> str:
    """The label of the loss R on an axis: with its name if it is not the mean square."""
    loss = problem.loss_function
    return "loss $R$" if loss.quadratic else f"loss $R$ ({verbatim(loss.name)})"


def name_function(ax: Axes, problem: Problem) -> None:
    """Label the axes of functions of one feature with the names of the user's columns, if they have names."""
    feature = problem.feature_names[0] if problem.feature_names else ""
    target = problem.target_name or ""
    name_axes(
        ax,
        verbatim(feature) if feature.strip() else "input $x$",
        verbatim(target) if target.strip() and not problem.loss_function.labels else "output $f(x)$",
    )
