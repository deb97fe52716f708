"""What a derivation of exponents gives back: regions, boundaries, steps, and forms to read and to compute."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from meanfield.arguments import Layer, interval, one_of, real_array
from meanfield.displays import brief
from meanfield.errors import InputError
from meanfield.exporting import dataset, frame
from meanfield.symbolic.network import Network, gamma, gamma_prime
from meanfield.symbolic.polyhedra import AffineRow, Polyhedron, negated, solved

if TYPE_CHECKING:
    import pandas
    import xarray

    from meanfield.symbolic.numeric import NumericExponents

_PLANE = (gamma, gamma_prime)
LATEX_NAMES = {gamma_prime: r"\gamma'"}


class Step(NamedTuple):
    """One step of a derivation: an equation between orders and why it holds."""

    equation: sp.Basic
    reason: str


class Growth(enum.Enum):
    """How displacements grow at the end of training."""

    #: Like powers of the time.
    POWER = "power of time"
    #: Exponentially: training takes log m times longer than its power of m says.
    EXPONENTIAL = "exponential"
    #: Exponentially, at rates that differ between neurons; a factor sqrt(log m) besides.
    SPREAD = "exponential at different rates"
    #: Faster than exponentially, after a waiting time.
    BLOW_UP = "blow-up"
    #: The same by one neuron, the fastest of m, which makes up for the targets alone; its waiting time is
    #: shorter by a power of log m.
    ONE_NEURON = "blow-up of one neuron"


#: What a region of a two-layer network is called, by the layers that move.
_NAMES: Mapping[tuple[str, ...], str] = {
    (): "lazy",
    ("a",): "w-lag",
    ("w",): "a-lag",
    ("a", "w"): "both move",
}


@dataclass(frozen=True)
class Region:
    """A polygon of the plane in which one and the same balance holds.

    All exponents are linear in it, except where growth is ``SPREAD``.

    Attributes
    ----------
    region : Polyhedron
        In gamma and gamma_prime.
    orders : dict
        For each layer the exponent of its relative displacement, the root mean square over all neurons;
        minus infinity if it is not trained.
    moving : tuple of str
        Layers whose relative displacement does not vanish inside.
    time : Expr
        Exponent of the training time in canonical units (s = kappa tbar).
    growth : Growth
        How displacements grow at the end; if exponentially, the time has a factor log m besides.
    steps : tuple of Step
        The balances with their dominant terms, and their solution.
    """

    region: Polyhedron
    orders: Mapping[str, sp.Expr]
    moving: tuple[str, ...]
    time: sp.Expr
    growth: Growth
    steps: tuple[Step, ...]

    __repr__ = brief

    @property
    def name(self) -> str:
        """``lazy``, ``w-lag``, ``a-lag`` or ``both move``; for deeper networks the layers that move.

        With ``one neuron,`` before it where one neuron makes up for the targets.
        """
        if not self.moving or set(self.orders) == {"a", "w"}:
            alone = "one neuron, " if self.growth is Growth.ONE_NEURON else ""
            return alone + _NAMES[self.moving]
        return f"{', '.join(self.moving)} {'move' if len(self.moving) > 1 else 'moves'}"

    @property
    def condition(self) -> sp.Basic:
        """The polygon as inequalities, its boundary included."""
        return self.region.condition

    @property
    def S_w(self) -> sp.Expr:
        """Exponent of RD_w."""
        return self.orders["w"]

    @property
    def S_a(self) -> sp.Expr:
        """Exponent of RD_a."""
        return self.orders["a"]

    def sign(self, layer: Layer | str) -> int:
        """Sign of the exponent of a layer, "w" or "a", inside; 0 if it is zero throughout.

        Parameters
        ----------
        layer : {"w", "a"} or str
            One of the network's layers.

        Returns
        -------
        int
            -1, 0 or 1.

        Raises
        ------
        InputError
            For anything but a layer.

        Examples
        --------
        >>> from meanfield.symbolic import derive_exponents
        >>> sorted({region.sign("w") for region in derive_exponents().regions})
        [-1, 1]
        """
        one_of("layer", layer, self.orders)
        if self.orders[layer] == 0:
            return 0
        return 1 if layer in self.moving else -1

    @property
    def linear_pieces(self) -> tuple[sp.Expr, ...]:
        """All that is linear here."""
        return (*self.orders.values(), self.time)


@dataclass(frozen=True)
class BoundaryLine:
    """A segment, ray or line on which an exponent has a kink or a jump, or a layer starts to move.

    Attributes
    ----------
    equation : Eq
        The line.
    condition : Boolean
        The part of it that is the boundary.
    sides : tuple of Region
        The regions on the side of smaller and of larger gamma (or gamma_prime, if the line has constant
        gamma_prime).
    critical : tuple of str
        Layers whose exponent changes sign here, or is zero on one side throughout.
    row, ends : tuple
        The same as half-planes, for drawing.
    """

    equation: sp.Eq
    condition: sp.Basic
    sides: tuple[Region, Region]
    critical: tuple[str, ...]
    row: AffineRow
    ends: tuple[AffineRow, ...]

    __repr__ = brief

    @classmethod
    def between(
        cls, first: Region, second: Region, line: AffineRow, ends: tuple[AffineRow, ...]
    ) -> BoundaryLine:
        """The edge shared by two regions; its row is positive in the first.

        Parameters
        ----------
        first, second : Region
            Neighbours.
        line : tuple of int
            Coefficients of the edge: a row of the polyhedra.
        ends : tuple of rows
            What bounds the edge.

        Returns
        -------
        BoundaryLine
        """
        leading = next(c for c in line if c)
        low, high = (second, first) if leading > 0 else (first, second)
        row = line if leading > 0 else negated(line)
        variable, value, _ = solved(row, _PLANE)
        along = tuple(v for v in _PLANE if v != variable)
        condition = Polyhedron(along, ends).condition
        critical = tuple(layer for layer in low.orders if low.sign(layer) != high.sign(layer))
        return cls(sp.Eq(variable, value), condition, (low, high), critical, row, ends)

    @property
    def regime(self) -> bool:
        """Whether the order parameter S_w vanishes on it: a boundary of the regimes."""
        return "w" in self.critical

    @property
    def jumps(self) -> dict[str, sp.Expr]:
        """Difference of each finite exponent across the line, on the line: zero if it is continuous."""
        variable, value, _ = solved(self.row, _PLANE)
        low, high = self.sides
        pairs = {layer: (low.orders[layer], high.orders[layer]) for layer in low.orders}
        pairs["time"] = (low.time, high.time)
        return {
            name: sp.simplify((one - two).subs(variable, value))
            for name, (one, two) in pairs.items()
            if one.is_finite is not False
        }

    def segment(
        self, gamma: tuple[float, float], gamma_prime: tuple[float, float]
    ) -> NDArray[np.float64] | None:
        """End points of the part inside a rectangle.

        Parameters
        ----------
        gamma, gamma_prime : tuple of float
            Ranges of the rectangle.

        Returns
        -------
        ndarray, shape (2, 2), or None
            Two points (gamma, gamma_prime); None if the line misses the rectangle.
        """
        variable, value, _ = solved(self.row, _PLANE)
        (free,) = (v for v in _PLANE if v != variable)
        sides = (interval("gamma", gamma), interval("gamma_prime", gamma_prime))
        ranges = dict(zip(_PLANE, sides, strict=True))
        low, high = ranges[free]
        slope, offset = float(sp.diff(value, free)), float(value.subs(free, 0))
        bounds = [(float(c), float(c0)) for c, c0 in self.ends]
        bounds += [(slope, offset - ranges[variable][0]), (-slope, ranges[variable][1] - offset)]
        for c, c0 in bounds:
            if c > 0:
                low = max(low, -c0 / c)
            elif c < 0:
                high = min(high, -c0 / c)
            elif c0 < 0:
                return None
        if low >= high:
            return None
        points = {free: np.array([low, high]), variable: slope * np.array([low, high]) + offset}
        return np.column_stack([points[v] for v in _PLANE])


@dataclass(frozen=True)
class Exponents:
    """Exponents of a network over the plane, with their derivation.

    Attributes
    ----------
    network : Network
        What was described.
    regions : tuple of Region
        Polygons that tile the plane.
    boundaries : tuple of BoundaryLine
        Where exponents have kinks or a layer starts to move.
    derivation : tuple of Step
        The balances from which all follows, with reasons; each region holds how they were solved there.
    """

    network: Network
    regions: tuple[Region, ...]
    boundaries: tuple[BoundaryLine, ...]
    derivation: tuple[Step, ...]
    gamma = gamma
    gamma_prime = gamma_prime

    __repr__ = brief

    @property
    def S_w(self) -> sp.Piecewise:
        """Exponent of RD_w, the relative displacement of the input weights."""
        return self.piecewise("w")

    @property
    def S_a(self) -> sp.Piecewise:
        """Exponent of RD_a, the relative displacement of the output weights."""
        return self.piecewise("a")

    @cached_property
    def time(self) -> sp.Piecewise:
        """Exponent of the training time in canonical units, s = kappa tbar; tbar has gamma more."""
        return _piecewise([(region.time, region.condition) for region in self.regions])

    def piecewise(self, layer: Layer | str) -> sp.Piecewise:
        """Exponent of the relative displacement of a layer: one of ``network.layers``.

        Parameters
        ----------
        layer : {"w", "a"} or str
            One of ``network.layers``.

        Returns
        -------
        Piecewise
        """
        layer = one_of("layer", layer, self.network.layers)
        return _piecewise([(region.orders[layer], region.condition) for region in self.regions])

    def text(self) -> str:
        """The derivation as plain text."""
        from meanfield.symbolic.text import derivation_text

        return derivation_text(self)

    def latex(self, layer: Layer | str = "w") -> str:
        """The exponent of a layer's displacement as LaTeX.

        Parameters
        ----------
        layer : {"w", "a"} or str, default "w"
            One of ``network.layers``.

        Returns
        -------
        str

        Examples
        --------
        >>> from meanfield.symbolic import derive_exponents
        >>> print(derive_exponents().latex()[:42])
        S_w = \\begin{cases} \\gamma - 2 \\gamma' - 1
        """
        pieces = self.piecewise(layer)
        value = pieces.args[0][0] if len(pieces.args) == 1 else pieces
        return f"S_{layer} = {sp.latex(value, symbol_names=LATEX_NAMES)}"

    def numeric(self, *names: str) -> NumericExponents:
        """The exponents as a function of arrays.

        Parameters
        ----------
        *names : str
            Any of ``S_w``, ``S_a`` (or ``S_`` and another layer's name) and ``time``; by default S_w, S_a.

        Returns
        -------
        callable
            ``f(gamma, gamma_prime)`` gives an array of the broadcast shape for each name.

        Examples
        --------
        >>> from meanfield.symbolic import derive_exponents
        >>> S_w, S_a = derive_exponents().numeric()([0.5, 1.0, 1.75], 0.0)
        >>> S_w
        array([-0.5  ,  0.   ,  0.375])
        """
        from meanfield.symbolic.numeric import NumericExponents

        return NumericExponents.of(self, names or ("S_w", "S_a"))

    def to_pandas(self) -> pandas.DataFrame:
        """The regions as a table: name, condition and, as text of SymPy, the exponents that hold there.

        ``sympy.sympify(text, locals)`` reads them again, where ``locals`` has the symbols of
        :mod:`meanfield.symbolic`.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.

        Examples
        --------
        >>> from meanfield.symbolic import derive_exponents
        >>> derive_exponents().to_pandas()[["region", "S_w", "S_a"]].iloc[0].tolist()
        ['lazy', 'gamma - 2*gamma_prime - 1', 'gamma - 1']
        """
        columns: dict[str, list[str]] = {
            "region": [region.name for region in self.regions],
            "condition": [str(region.condition) for region in self.regions],
        }
        columns |= {
            f"S_{layer}": [str(region.orders[layer]) for region in self.regions]
            for layer in self.network.layers
        }
        columns["time_exponent"] = [str(region.time) for region in self.regions]
        columns["growth"] = [region.growth.value for region in self.regions]
        return frame(columns, None, {"network": repr(self.network)})

    def to_xarray(self, gamma: ArrayLike, gamma_prime: ArrayLike) -> xarray.Dataset:
        """The exponents on a grid of the plane, named and laid out as the maps of a phase diagram.

        Parameters
        ----------
        gamma, gamma_prime : float or array_like, shapes (k,) and (l,)
            The grid: all pairs.

        Returns
        -------
        xarray.Dataset
            ``predicted_S_w``, ``predicted_S_a`` (or those of the layers there are) and ``time_exponent``,
            of shape (l, k).

        Raises
        ------
        InputError
            For what is no list of numbers.
        MissingExtraError
            If xarray is not installed.

        Examples
        --------
        >>> from meanfield.symbolic import derive_exponents
        >>> maps = derive_exponents().to_xarray([0.5, 1.75], [0.0])
        >>> maps["predicted_S_w"].values.tolist()
        [[-0.5, 0.375]]
        """
        across, upwards = _axis("gamma", gamma), _axis("gamma_prime", gamma_prime)
        names = [f"S_{layer}" for layer in self.network.layers]
        found = self.numeric(*names, "time")(across, upwards[:, None])
        variables = {
            name: (("gamma_prime", "gamma"), values)
            for name, values in zip(
                [*(f"predicted_{name}" for name in names), "time_exponent"], found, strict=True
            )
        }
        coordinates = {"gamma": across, "gamma_prime": upwards}
        return dataset(variables, coordinates, {"network": repr(self.network)})


def _axis(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """One axis of a grid of the plane."""
    axis = np.atleast_1d(real_array(name, values))
    if axis.ndim != 1 or not axis.size:
        raise InputError(f"{name} has shape {axis.shape}; give one number, or a list of them")
    return axis


def _piecewise(pieces: list[tuple[sp.Expr, sp.Basic]]) -> sp.Piecewise:
    """Pieces with equal values are joined; the regions tile the plane, so that one always applies."""
    joined: dict[sp.Expr, sp.Basic] = {}
    for value, condition in pieces:
        joined[value] = sp.Or(joined[value], condition) if value in joined else condition
    if len(joined) == 1:
        joined = dict.fromkeys(joined, sp.true)
    return sp.Piecewise(*joined.items(), evaluate=False)
