"""The theory's part of a phase diagram: boundary, contours of the exponent, regimes, known schemes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.contour import ContourSet
from matplotlib.text import Text
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

from meanfield.arguments import shown
from meanfield.errors import InputError
from meanfield.plotting.guests import TEXT, is_guest, points
from meanfield.plotting.placing import Obstacles, PlacedText
from meanfield.plotting.style import SMALL, THEORY
from meanfield.regime import Regime, boundary_gamma, exponents
from meanfield.scaling import SCHEMES, Scaling

if TYPE_CHECKING:  # SymPy is slow to import and needed by nobody who draws measurements only
    from meanfield.symbolic import Exponents

Array = NDArray[np.float64]
#: Predicted S_w and S_a at points of the plane.
Predicted: TypeAlias = Callable[[Array, Array], tuple[Array, Array]]

_MESH = 241
#: Colour of the contours and of their values.
CONTOUR = "0.3"
#: Steps between contours; the first that gives at most this many of them is taken.
_STEPS, _MOST_CONTOURS = (0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 50.0), 12
#: Schemes this far outside the measured grid, in units of its extent, still widen the view.
_REACH, _MARGIN = 0.3, 0.07


@dataclass(frozen=True)
class View:
    """A rectangle of the plane."""

    gamma: tuple[float, float]
    gamma_prime: tuple[float, float]

    @property
    def spans(self) -> tuple[float, float]:
        """Width and height."""
        return self.gamma[1] - self.gamma[0], self.gamma_prime[1] - self.gamma_prime[0]

    def around(self, points: Sequence[tuple[float, float]]) -> View:
        """Extend it by the points that lie modestly outside, with a margin."""
        (g0, g1), (p0, p1), (width, height) = self.gamma, self.gamma_prime, self.spans
        for g, p in points:
            near_g = self.gamma[0] - _REACH * width <= g <= self.gamma[1] + _REACH * width
            near_p = self.gamma_prime[0] - _REACH * height <= p <= self.gamma_prime[1] + _REACH * height
            if near_g and near_p:
                g0, g1 = min(g0, g - _MARGIN * width), max(g1, g + _MARGIN * width)
                p0, p1 = min(p0, p - _MARGIN * height), max(p1, p + _MARGIN * height)
        return View((g0, g1), (p0, p1))

    def holds(self, point: tuple[float, float]) -> bool:
        """Whether a point lies inside."""
        (g0, g1), (p0, p1) = self.gamma, self.gamma_prime
        return g0 <= point[0] <= g1 and p0 <= point[1] <= p1


def scheme_points(schemes: bool | Sequence[Scaling] = True) -> dict[tuple[float, float], str]:
    """Points of schemes, with the names of all that share one.

    True stands for the common schemes that have no free exponent, False for none.
    """
    if isinstance(schemes, bool):
        laws = SCHEMES.items() if schemes else ()
        schemes = [Scaling.named(key) for key, law in laws if not any("b" in part for part in law)]
    elif not (isinstance(schemes, Sequence) and all(isinstance(scheme, Scaling) for scheme in schemes)):
        raise InputError(f"schemes is {shown(schemes)}; give True, False or a list of Scaling")
    names: dict[tuple[float, float], list[str]] = {}
    for scheme in schemes:
        names.setdefault((scheme.gamma, scheme.gamma_prime), []).append(scheme.name)
    return {point: ", ".join(filter(None, found)) for point, found in names.items()}


def draw_boundary(
    ax: Axes, view: View, obstacles: Obstacles, theory: Exponents | None = None, *, layer: str = "w"
) -> None:
    """Draw the line where the predicted exponent changes sign; a derived theory's other lines too.

    For S_w this is the boundary of the regimes. For S_a it is no boundary, and has another label.
    """
    heavy: dict[str, Any] = {"color": THEORY, "lw": 2.0, "zorder": 4}
    heavy["label"] = "theory: boundary" if layer == "w" else "theory: zeros of S_a"
    if theory is None:
        sign = 1.0 if layer == "w" else -1.0  # S_a(gamma, gamma_prime) = S_w(gamma, -gamma_prime)
        low, high = sorted(sign * end for end in view.gamma_prime)
        high = max(low, min(high, view.gamma[1] - 1.0 if view.gamma[1] > 1.0 else high))
        mirrored = np.unique(np.clip([low, 0.0, high], low, high))
        gamma, gamma_prime = boundary_gamma(mirrored), sign * mirrored
        ax.plot(gamma, gamma_prime, **heavy)
        obstacles.add_line(gamma, gamma_prime)
        return
    kinds: dict[bool, dict[str, Any]] = {
        True: heavy,
        False: {"label": "theory: kinks", "color": CONTOUR, "lw": 0.9, "ls": (0, (4, 2)), "zorder": 3.5},
    }
    if layer == "a":
        del kinds[True]
        _draw_zeros_of_output(ax, view, obstacles, theory, heavy["label"])
    for regime, looks in kinds.items():
        lines = [line for line in theory.boundaries if line.regime is regime]
        segments = [line.segment(view.gamma, view.gamma_prime) for line in lines]
        drawn = [segment for segment in segments if segment is not None]
        if drawn:
            pieces = np.concatenate([np.vstack([segment, [np.nan, np.nan]]) for segment in drawn])
            ax.plot(pieces[:, 0], pieces[:, 1], **looks)
        for segment in drawn:
            obstacles.add_line(segment[:, 0], segment[:, 1])


def _draw_zeros_of_output(ax: Axes, view: View, obstacles: Obstacles, theory: Exponents, label: str) -> None:
    """Draw the lines where a derived S_a changes sign."""
    gamma, gamma_prime, S = _on_mesh(view, theory, "a")
    if not (np.all(np.isfinite(S)) and S.min() < 0.0 < S.max()):
        return
    lines = ax.contour(gamma, gamma_prime, S, levels=[0.0], colors=THEORY, linewidths=2.0, zorder=4)
    lines.set_label(label)
    obstacles.lines += _pieces(lines)


def _pieces(lines: ContourSet) -> list[Array]:
    """Polylines of contours, each of shape (k, 2)."""
    pieces = (piece for path in lines.get_paths() for piece in path.to_polygons(closed_only=False))
    return [np.asarray(piece, dtype=np.float64) for piece in pieces]


def _on_mesh(
    view: View, theory: Exponents | None, layer: str, predicted: Predicted = exponents
) -> tuple[Array, Array, Array]:
    """Coordinates and predicted exponents on a mesh over the view, shapes (k,), (k,) and (k, k)."""
    gamma, gamma_prime = np.linspace(*view.gamma, _MESH), np.linspace(*view.gamma_prime, _MESH)
    if theory is None:
        both = predicted(gamma[None, :], gamma_prime[:, None])
        return gamma, gamma_prime, both[0 if layer == "w" else 1]
    (S,) = theory.numeric(f"S_{layer}")(gamma[None, :], gamma_prime[:, None])
    return gamma, gamma_prime, S


def draw_contours(
    ax: Axes,
    view: View,
    obstacles: Obstacles,
    *,
    predicted: Predicted = exponents,
    theory: Exponents | None = None,
    layer: str = "w",
    looks: Mapping[str, Any] | None = None,
) -> list[Array]:
    """Draw thin contours of the predicted exponent of a layer, with their values at the frame.

    They are no obstacles for names, but for whom they are, they are returned: polylines of shape (k, 2).
    ``predicted`` has nan where there is no prediction, and nothing is drawn.
    """
    gamma, gamma_prime, S = _on_mesh(view, theory, layer, predicted)
    known = S[~np.isnan(S)] if np.any(~np.isnan(S)) else np.zeros(1)
    low, high = float(known.min()), float(known.max())
    # The zeros of S_w are the boundary, which is drawn as a line of its own.
    levels = contour_levels(low, high, zero=layer != "w") if np.all(np.isfinite(known)) else np.empty(0)
    drawn: list[Array] = []
    if len(levels):
        thin: dict[str, Any] = {"colors": CONTOUR, "linewidths": 0.5, "linestyles": "solid", "zorder": 3}
        if looks and "cmap" in looks:
            del thin["colors"]
        lines = ax.contour(gamma, gamma_prime, S, **{"levels": levels, **thin, **(looks or {})})
        lines.set_label(f"theory: contours of S_{layer}")
        drawn = _pieces(lines)
    zero = Regime.CRITICAL.value if layer == "w" else None  # only S_w decides the regime
    _label_frame(ax, gamma, S[-1], levels, obstacles, top=True, zero=zero)
    _label_frame(ax, gamma_prime, S[:, -1], levels, obstacles, top=False, zero=zero)
    return drawn


def contour_levels(low: float, high: float, *, zero: bool = False) -> Array:
    """Multiples of a round step between two exponents; zero is left out unless it is asked for."""
    for step in _STEPS:
        multiples = np.arange(np.ceil(low / step), np.floor(high / step) + 1)
        if len(multiples) <= _MOST_CONTOURS:
            break
    return np.asarray(multiples[(multiples != 0) | zero] * step, dtype=np.float64)


def _label_frame(
    ax: Axes,
    along: Array,
    S: Array,
    levels: Array,
    obstacles: Obstacles,
    *,
    top: bool,
    zero: str | None,
) -> None:
    """Write the levels where their contours leave the axes, at the top or on the right.

    Outside in a figure of one's own, inside where titles and neighbours are the user's.
    """
    assert ax.figure is not None
    guest = is_guest()
    base = ax.get_xaxis_transform() if top else ax.get_yaxis_transform()
    away = (-2 if guest else 2) / 72
    shift = ScaledTranslation(0.0 if top else away, away if top else 0.0, ax.figure.dpi_scale_trans)
    beside: dict[str, Any] = {"ha": "center", "va": "top" if guest else "bottom"}
    if not top:
        beside |= {"ha": "right" if guest else "left", "va": "center"}
    if guest:
        beside["bbox"] = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5}
    order = slice(None) if S[0] <= S[-1] else slice(None, None, -1)
    rising = S[order]
    decimals = 2 if any(abs(10 * level - round(10 * level)) > 1e-9 for level in levels) else 1
    texts = {float(level) + 0.0: f"{level + 0.0:.{decimals}f}".replace("-", "\u2212") for level in levels}
    for level, text in {**({0.0: zero} if zero else {}), **texts}.items():
        named = text == zero
        if not rising[0] < level < rising[-1]:
            continue
        at = float(np.interp(level, rising, along[order]))
        looks: dict[str, Any] = {"color": THEORY, "fontstyle": "italic"} if named else {"color": CONTOUR}
        label = PlacedText(
            text, [(at, 1.0, 0.0) if top else (1.0, at, 90.0 if named else 0.0)], obstacles,
            transform=base + shift, fontsize=points(TEXT if named else SMALL), **beside, **looks,
        )  # fmt: skip
        ax.add_artist(label)
        label.set_clip_on(guest)
        label.set_in_layout(not guest)
        obstacles.texts.append(label)


def draw_regimes(
    ax: Axes,
    view: View,
    strip: float,
    obstacles: Obstacles,
    theory: Exponents | None = None,
    *,
    background: str = "white",
) -> None:
    """Name the regimes in a strip below the measured cells, on their sides of the boundary.

    A derived exponent may be zero on a whole interval, which is critical.
    """
    bottom, (left, right) = view.gamma_prime[0], view.gamma
    if theory is None:
        middle = beyond = float(np.clip(boundary_gamma(bottom + strip / 2), left, right))
    else:
        gamma = np.linspace(left, right, _MESH)
        (S_w,) = theory.numeric("S_w")(gamma, bottom + strip / 2)
        below, zero = int(np.count_nonzero(S_w < 0.0)), int(np.count_nonzero(S_w == 0.0))
        zero = zero if zero > 1 else 0  # a point of the mesh may lie on a line
        middle, beyond = np.interp([below, below + zero], [0, _MESH], [left, right]).tolist()
    regimes = (
        (left, middle, Regime.LINEAR),
        (middle, beyond, Regime.CRITICAL),
        (beyond, right, Regime.CONDENSED),
    )
    for low, high, regime in regimes:
        if high > low:
            name = PlacedText(
                regime.value, [((low + high) / 2, bottom + strip / 2, 0.0)], obstacles,
                inside=(low, bottom, high, bottom + strip), transform=ax.transData,
                fontsize=points(TEXT), fontstyle="italic", ha="center", va="center_baseline", zorder=6,
                bbox={"facecolor": background, "edgecolor": "none", "pad": 0.8},
            )  # fmt: skip
            name.set_in_layout(False)
            ax.add_artist(name)
            obstacles.texts.append(name)


def draw_schemes(ax: Axes, view: View, obstacles: Obstacles, schemes: bool | Sequence[Scaling]) -> None:
    """Mark and name those schemes that are inside the view."""
    points = {point: name for point, name in scheme_points(schemes).items() if view.holds(point)}
    if not points:
        return
    gamma, gamma_prime = zip(*points, strict=True)
    ax.plot(
        gamma, gamma_prime, ls="none", marker="o", ms=6.5, mfc="none", mec=THEORY, mew=0.9, zorder=5,
        label="schemes",
    )  # fmt: skip
    for (g, p), name in points.items():
        obstacles.points.append((g, p, 3.5))
        on_left = (g - view.gamma[0]) > 0.6 * view.spans[0]
        obstacles.texts.append(_name_beside(ax, (g, p), name, on_left=on_left))


def _name_beside(ax: Axes, point: tuple[float, float], name: str, *, on_left: bool) -> Text:
    return ax.annotate(
        name, point, xytext=(-5.5 if on_left else 5.5, -8.0), textcoords="offset points",
        ha="right" if on_left else "left", va="center_baseline", fontsize=points(SMALL), color=THEORY,
        zorder=6, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.8},
    )  # fmt: skip
