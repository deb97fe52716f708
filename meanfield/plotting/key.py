"""The key and the note below a phase diagram: what is theory, what is measured, on which ensemble."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import ScaledTranslation

from meanfield.arguments import Layer
from meanfield.experiments import PhaseDiagram
from meanfield.plotting.guests import is_guest
from meanfield.plotting.layers import judge
from meanfield.plotting.placing import Room, key_outside
from meanfield.plotting.style import SMALL, THEORY, number
from meanfield.plotting.texts import verbatim
from meanfield.plotting.theory import CONTOUR

#: Distances in points: from the axes' left edge, and below the axes, where its numbers and label are.
_LEFT, _BELOW = -14.0, 26.0


def explain(
    ax: Axes, diagram: PhaseDiagram, layer: Layer, cell_marks: Mapping[str, Mapping[str, Any]]
) -> None:
    """Put the key and the note below the axes; on axes of the user a legend inside, without the note."""
    assert ax.figure is not None
    S = f"S_{layer}"
    entries: dict[str, Any] = {rf"theory: ${S}=0$, $m\to\infty$": Line2D([], [], color=THEORY, lw=2.0)}
    entries[rf"theory: ${S}$, $m\to\infty$ (at frame)"] = Line2D([], [], color=CONTOUR, lw=0.5)
    for finite in (line for line in ax.lines if line.get_label() == "theory: these widths"):
        entries["theory: $S_w=0$, these widths"] = finite
    for kinks in (line for line in ax.lines if line.get_label() == "theory: kinks"):
        entries["theory: kinks"] = kinks
    for stars in (found for found in ax.containers if found.get_label() == "measured zeros"):
        entries[f"measured: $S_w=0$ ({100 * diagram.confidence:g} %)"] = stars
    for known in (line for line in ax.lines if line.get_label() == "published zeros"):
        entries["published: $S_w=0$"] = known
    drawn = {artist.get_label() for artist in ax.collections}
    entries |= {label: Patch(**marks) for label, marks in cell_marks.items() if label in drawn}
    far = key_outside(ax, entries, columns=2, left=_LEFT, below=_BELOW) + 3.0
    if is_guest():
        return
    shift = ScaledTranslation(_LEFT / 72, -far / 72, ax.figure.dpi_scale_trans)
    text = note(diagram, layer)
    ensemble = ax.text(
        0.0, 0.0, text, transform=ax.transAxes + shift, fontsize=SMALL, color="0.25",
        ha="left", va="top", linespacing=1.15,
    )  # fmt: skip
    ensemble.set_in_layout(False)
    ax.add_artist(Room(ax, below=far + (0.1 + 1.2 * len(text.splitlines())) * SMALL))


def note(diagram: PhaseDiagram, layer: Layer = "w") -> str:
    """Data, widths, seeds, and how far the measurement agrees with the theory, in a few lines."""
    # Widths of the limit may be any numbers; those of networks are written out.
    widths = [str(int(m)) if m < 1e6 else number(float(m)) for m in diagram.widths]
    seeds = len(diagram.seeds)
    shown = ", ".join(widths) if len(widths) <= 4 else f"{widths[0]}\u2013{widths[-1]}"
    what = "neurons per twin half" if diagram.settings.per_half else "neurons"
    draws = "limit" if diagram.of_limit else f"{seeds} seed{'s' if seeds > 1 else ''}"
    found = [judge(row, layer) for row in diagram.rows]
    verdicts = [one.side_agrees for one in found]
    line = "the boundary" if layer == "w" else "$S_a=0$"
    counts = [f"{verdicts.count(True)} of {len(verdicts)} points on theory's side of {line}"]
    counts += [f"{count} {word}" for count, word in _exceptions(diagram, verdicts) if count]
    lines = [f"{verbatim(diagram.problem.name)}; $m$ = {shown} {what}; {draws}", ", ".join(counts)]
    inside = [one.agrees for one in found if one.agrees is not None]
    if inside:
        lines.append(
            f"{sum(inside)} of {len(inside)} measured {100 * diagram.confidence:g} % intervals hold the "
            "prediction at these widths"
        )
    return "\n".join(lines)


def _exceptions(diagram: PhaseDiagram, verdicts: list[bool | None]) -> list[tuple[int, str]]:
    return [
        (verdicts.count(False), "on the other"),
        (verdicts.count(None), "undecided"),
        (diagram.missing, "runs missing"),
    ]
