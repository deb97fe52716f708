"""Small synthetic problems: the paper's four points, functions on a line or circle, a random teacher."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from meanfield.arguments import RNG, called, flag, generator, number, whole_number
from meanfield.errors import InputError
from meanfield.losses import MEAN_SQUARE
from meanfield.particles import Particles
from meanfield.problem import Problem


def four_points() -> Problem:
    """Return the data of Luo et al. 2021: ``x = linspace(-1/2, 1/2, 4)`` and ``y = x**2``.

    Returns
    -------
    Problem
        n = 4 samples of one feature, with the bias column (d = 2).

    Examples
    --------
    >>> problem = four_points()
    >>> problem.n, problem.d
    (4, 2)
    >>> float(problem.y[0])
    0.25
    """
    x = np.linspace(-0.5, 0.5, 4)
    return Problem(x, x**2, name="four points", loss=MEAN_SQUARE)


def function_1d(
    function: Callable[[float], float],
    n: int,
    *,
    low: float = -0.5,
    high: float = 0.5,
    name: str | None = None,
) -> Problem:
    """Sample a function of one variable on a uniform grid, both ends included.

    Parameters
    ----------
    function : callable
        Target ``y = function(x)``; called with one float at a time.
    n : int
        Number of samples, at least 2.
    low, high : float, default -0.5, 0.5
        Ends of the interval.
    name : str, optional
        Name of the problem; by default the function's.

    Returns
    -------
    Problem
        n samples of one feature, with the bias column (d = 2).

    Raises
    ------
    InputError
        If ``n < 2``, the interval is empty or not finite, or the function does not return finite
        real numbers.

    Examples
    --------
    >>> problem = function_1d(abs, 5, low=-1.0, high=1.0)
    >>> problem.name, problem.y
    ('abs', array([1. , 0.5, 0. , 0.5, 1. ]))
    """
    count = whole_number("n", n, least=2)
    low, high = number("low", low), number("high", high)
    if not low < high:
        raise InputError(f"low is {low:g} and high is {high:g}; give low < high")
    x = np.linspace(low, high, count)
    called("function", function, "one number")
    y = [function(float(point)) for point in x]
    return Problem(x, y, name=_name_of(function, name), loss=MEAN_SQUARE)


def circle(
    n: int,
    target: Callable[[float], float] | None = None,
    *,
    bias: bool = False,
    name: str | None = None,
) -> Problem:
    """Return n equidistant points of the unit circle, labelled by a function of their angle.

    The angles are ``2 pi (j + 1/2) / n``, j = 0..n-1. Without a bias the network depends on the
    angle only (it is positively homogeneous), and the law of the data is invariant under rotations.

    Parameters
    ----------
    n : int
        Number of samples, at least 2.
    target : callable, optional
        Target as a function of the angle phi in radians, called with one float at a time; by default
        ``sin(2 phi)``.
    bias : bool, default False
        Append a bias column (d = 3 instead of 2).
    name : str, optional
        Name of the problem; by default ``"circle"``.

    Returns
    -------
    Problem
        n samples of two features.

    Raises
    ------
    InputError
        If ``n < 2`` or the target does not return finite real numbers.

    Examples
    --------
    >>> problem = circle(4)
    >>> problem.d, [round(float(y), 12) for y in problem.y]
    (2, [1.0, -1.0, 1.0, -1.0])
    """
    count = whole_number("n", n, least=2)
    phi = 2.0 * np.pi * (np.arange(count) + 0.5) / count
    law = _sin_2phi if target is None else target
    called("target", law, "one number")
    x = np.column_stack([np.cos(phi), np.sin(phi)])
    y = [law(float(angle)) for angle in phi]
    return Problem(x, y, bias=bias, name="circle" if name is None else name, loss=MEAN_SQUARE)


def teacher(
    n: int,
    d_in: int,
    *,
    neurons: int,
    rng: RNG,
    noise: float = 0.0,
    bias: bool = True,
    name: str = "teacher",
) -> Problem:
    """Draw Gaussian inputs labelled by a random two-layer ReLU network.

    The inputs are ``x ~ N(0, I)`` in d_in dimensions. With d the input dimension (bias included) and
    K = ``neurons`` the teacher is ``f(x) = sqrt(2/K) sum_k a_k relu(w_k . x)``, ``a_k ~ N(0, 1)``,
    ``w_k ~ N(0, I_d / d)``, all independent; the targets are ``y = f(x) + noise * N(0, 1)``. Averaged
    over teachers and inputs, ``E[f] = 0`` and ``E[f**2] = 1``.

    A seed fixes the teacher whatever n, and the first samples of a larger set are the smaller set.

    Parameters
    ----------
    n : int
        Number of samples, at least 1.
    d_in : int
        Number of features.
    neurons : int
        Number of the teacher's neurons K.
    rng : int, SeedSequence, Generator or None
        Source of randomness.
    noise : float, default 0.0
        Standard deviation of the noise on the targets.
    bias : bool, default True
        Append the bias column, for the teacher too.
    name : str, default "teacher"
        Name of the problem.

    Returns
    -------
    Problem
        n samples of d_in features.

    Raises
    ------
    InputError
        If a count is not a positive whole number, or the noise is negative.

    Examples
    --------
    >>> problem = teacher(20, 3, neurons=5, rng=0)
    >>> problem.n, problem.d
    (20, 4)
    """
    n, d_in = whole_number("n", n), whole_number("d_in", d_in)
    neurons = whole_number("neurons", neurons)
    noise = number("noise", noise, "a standard deviation >= 0", least=0.0)
    source = generator(rng)
    d = d_in + flag("bias", bias)
    network = Particles.from_arrays(
        source.standard_normal(neurons),
        source.standard_normal((neurons, d)),
        kappa=math.sqrt(2.0 / (neurons * d)),
        kappa_prime=math.sqrt(d),
    )
    # The noise of a sample is drawn beside its features, so that larger sets extend smaller ones.
    draws = source.standard_normal((n, d_in + 1))
    x, xi = draws[:, :-1], draws[:, -1]
    rows = np.column_stack([x, np.ones(n)]) if bias else x
    return Problem(x, network.output(rows) + noise * xi, bias=bias, name=name, loss=MEAN_SQUARE)


def _sin_2phi(phi: float) -> float:
    return math.sin(2.0 * phi)


def _name_of(function: Callable[..., object], name: str | None) -> str:
    if name is not None:
        return name
    own = getattr(function, "__name__", "function")
    return "function" if own == "<lambda>" else str(own)
