"""A figure for a paper: measured displacements with theory, and neurons before and after training.

Writes paper-figure.pdf (6.75 inches wide, text like that of LaTeX's Times), paper-figure.png, and
paper-figure.csv, the numbers behind it.
"""

import matplotlib.style
from matplotlib.figure import Figure

import meanfield as mf
from meanfield.plotting.style import STYLE

GAMMA = [0.5, 1.0, 1.75]
WIDTHS = [250, 1000, 4000]
SEEDS = 3


def main() -> None:
    """Train, draw, save."""
    problem = mf.datasets.four_points()
    diagram = mf.phase_diagram(
        problem,
        gamma=GAMMA,
        gamma_prime=[0.0],
        widths=WIDTHS,
        seeds=SEEDS,
        executor=2,
        store="paper-figure.sqlite",  # a second run of the script only draws
    )
    network = mf.Particles.sample(problem, mf.Scaling(gamma=1.75), width=1000, rng=0)
    run = mf.gradient_flow(problem, network)

    with matplotlib.style.context(STYLE):  # for what we draw ourselves
        figure = Figure(figsize=(6.75, 3.3), layout="constrained")  # inches, as printed
        left, right = figure.subplots(1, 2)
        mf.plotting.rd_against_width(diagram, [(g, 0.0) for g in GAMMA], left)
        mf.plotting.orientations(run, right)
        for ax, letter in zip((left, right), "ab", strict=True):
            ax.get_legend().set(loc="lower left", bbox_to_anchor=(0.0, 1.02))  # above the axes
            ax.text(-0.2, 1.0, f"({letter})", transform=ax.transAxes)
        mf.plotting.save(figure, "paper-figure", formats=("pdf", "png"))
    diagram.runs_to_csv("paper-figure.csv")

    for row in diagram.rows:
        print(f"gamma = {row.gamma}: S_w = {row.S_w.value:.3f} [{row.S_w.low:.3f}, {row.S_w.high:.3f}]")


if __name__ == "__main__":  # worker processes import this file
    main()
