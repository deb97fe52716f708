"""Figure functions in the hands of others: in notebooks, scripts and on axes of the user.

Kernels and scripts run in processes of their own, without settings of ours.
"""

import inspect
import json
import os
import subprocess
import sys

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.text import Text

import meanfield as mf
from meanfield.plotting.windows import offscreen

plot = mf.plotting
FOUR = mf.datasets.four_points()
#: Functions that write or make files, figures and axes; all others draw on axes.
NOT_ON_AXES = {"save", "new_axes", "figure"}
DRAWING = sorted(set(plot.__all__) - NOT_ON_AXES)


@pytest.fixture(scope="module")
def arguments():
    """What each function draws."""
    scaling = mf.Scaling.named("mean-field")
    networks = [mf.Particles.sample(FOUR, scaling, m, rng=s) for m in (20, 40, 80) for s in (0, 1)]
    quick = {"loss_tol": 1e-2, "progress": False}
    runs = [mf.gradient_flow(FOUR, network, save_parameters=True, **quick) for network in networks]
    limits = {m: mf.infinite_width(FOUR, scaling, width=m, nodes=64, tol=0.5, **quick) for m in (20, 40, 80)}
    sweep = {"gamma_prime": [-0.2, 0.2], "widths": [20, 80], "progress": False}
    diagram = mf.phase_diagram(FOUR, gamma=[0.5, 1.5], seeds=2, **sweep)
    row = mf.limit_diagram(FOUR, gamma=[0.5, 1.0, 1.5], gamma_prime=[0.0])
    ensemble = mf.ensemble(FOUR, scaling, 20, seeds=3, loss_tol=1e-2)
    return {
        "approach": (runs[::2][:2], limits[20]),
        "boundary": (mf.boundary(FOUR, **sweep, max_points=1),),
        "convergence": ([mf.limits.compare(run, limits[run.initial.width]) for run in runs],),
        "ensemble_curves": (ensemble,),
        "ensemble_function": (ensemble,),
        "exponent_map": (mf.symbolic.derive_exponents(),),
        "exponents_along_gamma": (row,),
        "learned_function": (runs[0],),
        "loss": (runs[0],),
        "loss_and_kernel": (runs[0],),
        "orientations": (runs[0],),
        "phase_diagram": (diagram,),
        "rd_against_width": (diagram, [(0.5, 0.2)]),
    }


def given(name, axes):
    """The keyword that takes the axes, and how many there are."""
    several = "axes" in inspect.signature(getattr(plot, name)).parameters
    return {"axes": list(axes[:3])} if several else {"ax": axes[0]}


def drawn_on(name, axes):
    return list(axes[:3]) if "axes" in given(name, axes) else [axes[0]]


def panels(count=4, **kwargs):
    """A user's figure: nothing of it has to do with this package, nor with pyplot."""
    return list(Figure(figsize=(9, 4), **kwargs).subplots(1, count).flat)


def draw(name, arguments, axes, **kwargs):
    return getattr(plot, name)(*arguments[name], **given(name, axes), **kwargs)


def texts(ax):
    return [text for text in ax.findobj(Text) if text.get_text()]


def test_every_function_is_here(arguments):
    assert sorted(arguments) == DRAWING


@pytest.mark.parametrize("name", DRAWING)
class TestAxesOfTheUser:
    def test_takes_the_words_that_seaborn_has(self, name, arguments):
        parameters = inspect.signature(getattr(plot, name)).parameters
        assert {"ax", "axes"} & set(parameters)
        assert {"legend", "label"} <= set(parameters)
        assert any(p.kind is p.VAR_KEYWORD for p in parameters.values())

    def test_only_that_axes_changes(self, name, arguments):
        axes = panels()
        figure, last = axes[0].figure, axes[-1]
        before, children, settings = last.get_position().bounds, len(last.get_children()), dict(plt.rcParams)
        colorbar = {"colorbar": False} if name in ("phase_diagram", "orientations") else {}
        draw(name, arguments, axes, **colorbar)
        figure.draw_without_rendering()
        assert figure.axes == axes
        assert len(last.get_children()) == children
        assert len({tuple(np.round(ax.get_position().bounds[1:], 9)) for ax in axes}) == 1
        assert last.get_position().bounds == before
        assert dict(plt.rcParams) == settings
        assert plt.get_fignums() == []

    def test_limits_and_labels_of_the_user_stay(self, name, arguments):
        axes = panels()
        for ax in drawn_on(name, axes):
            ax.set(xlim=(0.25, 3.0), ylim=(0.5, 7.0), xlabel="mine", ylabel="my own", title="title")
        draw(name, arguments, axes)
        for ax in drawn_on(name, axes):
            ax.figure.draw_without_rendering()
            assert (ax.get_xlim(), ax.get_ylim()) == ((0.25, 3.0), (0.5, 7.0))
            assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("mine", "my own", "title")

    def test_what_was_there_stays_in_view(self, name, arguments):
        axes = panels()
        for ax in drawn_on(name, axes):
            ax.plot([1e-3, 40.0], [2e-3, 50.0])
        draw(name, arguments, axes)
        for ax in drawn_on(name, axes):
            assert ax.get_xlim()[0] <= 1e-3 < 40.0 <= ax.get_xlim()[1]
            assert ax.get_ylim()[0] <= 2e-3 < 50.0 <= ax.get_ylim()[1]
            assert ax.get_autoscalex_on()
            assert ax.get_autoscaley_on()

    def test_style_is_the_user_s_and_fonts_are_not_mixed(self, name, arguments):
        mine = {"font.family": ["DejaVu Sans Mono"], "font.size": 13.0, "axes.linewidth": 2.5}
        with matplotlib.rc_context(mine):
            axes = panels()
            plain = panels()[0]
            draw(name, arguments, axes)
        for ax in drawn_on(name, axes):  # drawn later, under other settings
            ax.figure.draw_without_rendering()
            assert {tuple(text.get_fontfamily()) for text in texts(ax)} == {("DejaVu Sans Mono",)}
            assert {spine.get_linewidth() for spine in ax.spines.values()} == {2.5}
            tick, other = ax.xaxis.get_major_ticks()[0], plain.xaxis.get_major_ticks()[0]
            assert tick.label1.get_fontsize() == other.label1.get_fontsize() == 13.0
            assert tick.tick1line.get_markersize() == other.tick1line.get_markersize()
            assert min(text.get_fontsize() for text in texts(ax)) >= 8.5

    def test_legend_inside_or_none(self, name, arguments):
        axes = panels()
        draw(name, arguments, axes, legend=False, label="mine")
        assert all(ax.get_legend() is None for ax in axes)
        axes = panels()
        draw(name, arguments, axes, legend=True, label="mine")
        (legend,) = [ax.get_legend() for ax in axes if ax.get_legend() is not None]
        names = [text.get_text() for text in legend.get_texts()]
        assert any("mine" in text for text in names) or name == "phase_diagram"
        legend.axes.figure.draw_without_rendering()
        box, frame = legend.get_window_extent(), legend.axes.bbox
        assert abs(box.x0 + box.x1 - frame.x0 - frame.x1) < frame.width + box.width  # not beside the axes

    def test_keywords_reach_the_main_artist(self, name, arguments):
        axes = panels()
        draw(name, arguments, axes, alpha=0.37)
        artists = [a for ax in drawn_on(name, axes) for a in ax.get_children()]
        assert [a for a in artists if a.get_alpha() == 0.37]
        with pytest.raises(AttributeError, match="colour"):
            draw(name, arguments, panels(), colour="red")

    def test_a_figure_of_its_own_is_open_once_and_not_after_a_mistake(self, name, arguments):
        with pytest.raises(mf.InputError):
            getattr(plot, name)(*arguments[name], legend="yes")
        assert plt.get_fignums() == []
        result = getattr(plot, name)(*arguments[name])
        ax = result[0] if isinstance(result, tuple) else result
        assert plt.get_fignums() == [ax.figure.number]
        assert plt.gcf() is ax.figure


class TestOptions:
    def test_aliases_of_keywords(self, arguments):
        (ax, *_) = panels()
        plot.loss(*arguments["loss"], ax, color="red", linewidth=3.0, ls=":")
        (line,) = ax.lines
        assert (line.get_color(), line.get_linewidth(), line.get_linestyle()) == ("red", 3.0, ":")

    def test_runs_one_after_the_other_share_a_legend(self, arguments):
        (ax, *_) = panels()
        for name in ("first", "second"):
            plot.learned_function(*arguments["learned_function"], ax, label=name)
        names = [text.get_text() for text in ax.get_legend().get_texts()]
        assert names == ["linear interpolant", "first", "data", "second"]

    def test_colour_maps(self, arguments):
        runs, limit = arguments["approach"]
        viridis = [matplotlib.colormaps["viridis"](end) for end in (0.0, 1.0)]
        for draw_runs in (plot.loss, plot.learned_function, lambda r, **k: plot.approach(r, limit, **k)):
            lines = [line for line in draw_runs(runs, cmap="viridis").lines if "m" in line.get_label()[:2]]
            assert [to_rgba(line.get_color()) for line in lines] == viridis
        (diagram,) = arguments["phase_diagram"]
        ax = plot.phase_diagram(diagram, cmap=matplotlib.colormaps["PuOr"])
        (cells,) = [c for c in ax.collections if c.get_label() == "measured S_w"]
        assert cells.get_cmap().name == "PuOr"
        with pytest.raises(mf.InputError, match="cmap is 'jett'; give a Matplotlib Colormap or the name"):
            plot.phase_diagram(diagram, cmap="jett")

    @pytest.mark.parametrize("layout", [None, "constrained"])
    def test_colour_bars_leave_equal_heights(self, arguments, layout):
        (diagram,) = arguments["phase_diagram"]
        crowd = mf.Particles.sample(FOUR, mf.Scaling.named("ntk"), 12_000, rng=0)
        for function, what in ((plot.phase_diagram, diagram), (plot.orientations, crowd)):
            for colorbar in (True, False, "own"):
                left, right, own = Figure(figsize=(9, 4), layout=layout).subplots(1, 3)
                function(what, left, colorbar=own if colorbar == "own" else colorbar, label="shades")
                plot.loss(*arguments["loss"], right)
                left.figure.draw_without_rendering()
                boxes = [ax.get_position() for ax in (left, right)]
                assert boxes[0].height == pytest.approx(boxes[1].height, rel=1e-6)
                assert boxes[0].y0 == pytest.approx(boxes[1].y0, rel=1e-6)
                assert len(left.figure.axes) == 3 + (colorbar is True)
                if colorbar != "own":
                    continue
                assert own.get_ylabel() == ("shades" if what is diagram else "final neurons per hexagon")
        with pytest.raises(mf.InputError, match="colorbar is 'right'; give True or False, or the Axes"):
            plot.phase_diagram(diagram, colorbar="right")

    def test_key_is_the_older_name_of_legend(self, arguments):
        for name in ("learned_function", "orientations", "phase_diagram"):
            with pytest.warns(DeprecationWarning, match="key is now called legend") as caught:
                ax = getattr(plot, name)(*arguments[name], key=False)
            assert caught[0].filename == __file__
            assert ax.get_legend() is None

    def test_label_names_one_run(self, arguments):
        runs, _ = arguments["approach"]
        with pytest.raises(mf.InputError, match="label names one run, but there are 2; give labels alone"):
            plot.loss(runs, label="mine")

    def test_axes_of_new_axes_have_the_package_s_style(self, arguments):
        ax = plot.new_axes("page", 3.0)
        with matplotlib.rc_context({"font.family": ["DejaVu Sans Mono"], "font.size": 20}):
            plot.loss(*arguments["loss"], ax)
            ax.figure.draw_without_rendering()
        assert {text.get_fontfamily()[0] for text in texts(ax)} == {"STIXGeneral"}

    def test_saving_a_figure_of_the_user_keeps_its_fonts(self, arguments, tmp_path):
        (ax, *_) = panels()
        plot.loss(*arguments["loss"], ax)
        (file,) = plot.save(ax, tmp_path / "mine.svg")
        content = file.read_text()
        assert "STIX" not in content
        assert "DejaVu Sans" in content


class TestManyFigures:
    def test_off_screen_nothing_stays_open(self, arguments):
        with offscreen():
            for _ in range(25):  # pyplot warns of more than 20
                plot.new_axes()
        assert plt.get_fignums() == []
        plot.new_axes()
        assert len(plt.get_fignums()) == 1

    def test_resolution_on_the_screen_is_the_user_s(self):
        with matplotlib.rc_context({"figure.dpi": 144}):
            assert plot.new_axes().figure.dpi == 144


SETUP = """
import meanfield as mf
problem = mf.datasets.four_points()
network = mf.Particles.sample(problem, mf.Scaling(1.5), width=50, rng=0)
run = mf.gradient_flow(problem, network, loss_tol=1e-2)
"""
#: Cells of a notebook, and the pictures that each shows.
CELLS = [
    (SETUP, 0),
    ("mf.plotting.learned_function(run)", 1),
    ("mf.plotting.loss(run).figure", 1),
    ("ax = mf.plotting.orientations(run)", 1),
    ("ax.figure", 1),
    ("mf.plotting.figure(mf.figures.run('schemes'))", 1),
    ("mf.plotting.loss(run); mf.plotting.learned_function(run);", 2),
    ("ax = mf.plotting.new_axes()\nmf.plotting.loss(run, ax)", 1),
    ("import matplotlib.pyplot as plt\nmf.plotting.loss(run)\nplt.show()\nprint('end')", 1),
    ("fig, axes = plt.subplots(1, 2)\nfor ax in axes: mf.plotting.loss(run, ax)", 1),
    ("import matplotlib\nassert matplotlib.is_interactive() and not plt.get_fignums()", 0),
]
NOTEBOOK = """
import json, sys
import nbclient, nbformat

book = nbformat.v4.new_notebook()
book.cells = [nbformat.v4.new_code_cell(cell) for cell in json.loads(sys.argv[1])]
nbclient.NotebookClient(book, timeout=120, kernel_name="python3").execute()
shown = [sum("image/png" in out.get("data", {}) for out in cell.outputs) for cell in book.cells]
outputs = [out for cell in book.cells for out in cell.outputs]
print(json.dumps([shown, [out for out in outputs if out.get("name") == "stderr"]]))
"""


def plain_environment(folder, **more):
    """No profile, no backend and no display."""
    ours = ("IPYTHONDIR", "MPLBACKEND", "MPLCONFIGDIR", "MATPLOTLIBRC", "DISPLAY", "WAYLAND_DISPLAY")
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return kept | {"IPYTHONDIR": str(folder / "ipython")} | more


def test_a_fresh_kernel_shows_every_picture_once(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", NOTEBOOK, json.dumps([cell for cell, _ in CELLS])],
        env=plain_environment(tmp_path), cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    shown, complaints = json.loads(run.stdout.splitlines()[-1])
    assert dict(zip((cell for cell, _ in CELLS), shown, strict=True)) == dict(CELLS)
    assert complaints == []


#: A backend with windows, as far as pyplot can tell.
BACKEND = """
from matplotlib._pylab_helpers import Gcf
from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg

class FigureManager(FigureManagerBase):
    @classmethod
    def pyplot_show(cls, *, block=None):
        print("shown:", len(Gcf.get_all_fig_managers()))

class FigureCanvas(FigureCanvasAgg):
    manager_class = FigureManager
"""
SCRIPT = (
    """
import sys
import meanfield as mf
assert "matplotlib" not in sys.modules
"""
    + SETUP
    + """
from matplotlib.figure import Figure
mf.plotting.loss(run, Figure().subplots())
assert "matplotlib.pyplot" not in sys.modules
ax = mf.plotting.learned_function(run)
ax.figure.savefig("one.png")
mf.plotting.save(mf.plotting.loss(run), "two.png")
import matplotlib.pyplot as plt
if sys.argv[1] == "show":
    plt.show()
"""
)


@pytest.mark.parametrize("backend", ["none", "module://windows", "TkAgg"])
def test_a_script_shows_and_saves_with_and_without_a_display(backend, tmp_path):
    (tmp_path / "windows.py").write_text(BACKEND)
    (tmp_path / "script.py").write_text(SCRIPT)
    run = subprocess.run(
        [sys.executable, "-W", "error", "script.py", "show" if "windows" in backend else "save"],
        env=plain_environment(tmp_path, **({} if backend == "none" else {"MPLBACKEND": backend})),
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert run.stdout == ("shown: 2\n" if "windows" in backend else "")
    for name in ("one.png", "two.png"):
        assert np.frombuffer((tmp_path / name).read_bytes()[:4], np.uint8).tolist() == [137, 80, 78, 71]
