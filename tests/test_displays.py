"""What notebooks and terminals show of results: small tables, lines that fit a screen, bars."""

import html.parser
import math
import re
import sys
from dataclasses import replace

import nbclient
import nbformat
import numpy as np
import pytest

import meanfield as mf
from meanfield import bars, displays, flow, limits

FOUR = mf.datasets.four_points()
NTK, MEAN_FIELD = mf.Scaling.named("ntk"), mf.Scaling.named("mean-field")


def noise(*shape):
    """The same Gaussian numbers whichever tests ran before."""
    return np.random.default_rng(0).standard_normal(shape)


LARGE = mf.Problem(noise(2000, 40), noise(2000), name="<b>large</b> & odd")


def long_diagram():
    """A map of 30 x 40 points with 20 widths; no run is behind it."""
    shape = (30, 40, 20, 2)
    widths = np.unique(np.geomspace(10, 1e5, 20).round()).astype(int)
    rd = widths[None, None, :, None] ** (noise(*shape[:2]) / 4.0)[..., None, None]
    rd = rd * np.exp(0.01 * noise(*shape))
    few = mf.phase_diagram(FOUR, gamma=[0.5, 1.5], gamma_prime=[0.0], widths=[10, 20], progress=False)
    return replace(
        few, gamma=np.linspace(0, 2, 40), gamma_prime=np.linspace(-1, 1, 30), widths=widths,
        seeds=np.arange(2), rd_w=rd, rd_a=rd, results=(), prediction=None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def shown():
    """One result of each kind, as long as they get."""
    wide = mf.Particles.sample(FOUR, MEAN_FIELD, 4000, rng=0)
    run = mf.gradient_flow(
        FOUR, wide, save_at=np.linspace(0.1, 9, 300), t_end=10.0, save_parameters=True, save_path=True
    )
    stopped = mf.gradient_flow(FOUR, wide, save_at=[1.0, 1e9], max_steps=5)
    few = mf.boundary(FOUR, gamma_prime=[0.0], widths=[20, 40], max_points=1, progress=False)
    lines, ones = np.linspace(-1, 1, 40), np.ones(40)
    ensemble = mf.ensemble(FOUR, MEAN_FIELD, 20, seeds=2, save_at=np.linspace(0.1, 9, 300), loss_tol=0)
    return {
        "problem": LARGE,
        "scaling": NTK,
        "scaling of laws": mf.Scaling(alpha="sqrt(m)", beta1=0.1, beta2="1/d", name="<i>mine</i>"),
        "regime": mf.Regime.CONDENSED,
        "place": NTK.classify(),
        "particles": mf.Particles.sample(LARGE, NTK, 2000, rng=0),
        "run": run,
        "run that stopped": stopped,
        "limit": mf.infinite_width(FOUR, MEAN_FIELD, width=1e6, nodes=512, loss_tol=1e-2),
        "closed form": mf.infinite_width(FOUR, NTK, width=1e30),
        "law": limits.KernelRegime.at(LARGE, NTK, 1e4),
        "linearised": limits.Linearised(FOUR, wide),
        "alignment": limits.early_alignment(mf.Problem(np.linspace(-1, 1, 60), noise(60))),
        "comparison": limits.compare(run, mf.infinite_width(FOUR, MEAN_FIELD, width=4000, nodes=512)),
        "diagram": long_diagram(),
        "boundary": replace(
            few, gamma_prime=lines, gamma_star=ones, interval=np.ones((40, 2)), predicted=ones
        ),
        "ensemble": replace(
            ensemble, runs=ensemble.runs * 500, seeds=np.arange(1000), time=ensemble.time
        ),
    }  # fmt: skip


SHOWN = (
    "problem", "scaling", "scaling of laws", "regime", "place", "particles", "run", "run that stopped",
    "limit", "closed form", "law", "linearised", "alignment", "comparison", "diagram", "boundary", "ensemble",
)  # fmt: skip


class Reader(html.parser.HTMLParser):
    """Checks that tags are closed in order; keeps what a person reads."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.tags = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.seen.append(data)


class TestTables:
    @pytest.mark.parametrize("name", SHOWN)
    def test_are_small_whole_and_stand_alone(self, shown, name):
        text = shown[name]._repr_html_()
        page = Reader(text)
        assert {tag for tag, _ in page.tags} <= {"div", "table", "tr", "th", "td"}
        assert sum(tag == "tr" for tag, _ in page.tags) <= 22
        assert max((len(re.findall("<t[dh]", row)) for row in text.split("<tr")), default=0) <= 12
        assert len(text) < 50_000
        # Nothing from elsewhere, and no colour of our own: they would not fit light and dark themes both.
        assert not re.search(r"https?:|src=|href=|<script|<style|#[0-9a-f]{3}|rgb\(", text)
        assert set(re.findall(r"color: (\w+)|solid (\w+)", text)) <= {("", "currentColor")}

    def test_texts_are_escaped(self, shown):
        for name in ("problem", "law"):
            text = shown[name]._repr_html_()
            assert "<b>" not in text
            assert "<b>large</b> & odd" in "".join(Reader(text).seen)
        assert "<i>" not in shown["scaling of laws"]._repr_html_()

    def test_numbers_are_those_of_the_result(self, shown):
        run = shown["run"]
        seen = "|".join(Reader(run._repr_html_()).seen)
        assert f"RD_w|{run.end.rd_w:.4g}|" in seen
        assert "saved times|300" in seen
        assert "REACHED_TIME" in seen
        stopped = shown["run that stopped"]
        seen = "|".join(Reader(stopped._repr_html_()).seen)
        assert stopped.status.remedy in seen
        assert "(1 not reached)" in seen

    def test_a_small_map_is_shown_in_full(self):
        diagram = mf.phase_diagram(FOUR, gamma=[0.5, 1.5], gamma_prime=[0.0], widths=[10, 20], progress=False)
        seen = Reader(diagram._repr_html_()).seen
        for j in range(2):
            assert f"{diagram.S_w[0, j]:.3f} ({diagram.verdicts[0][j].value})" in seen

    def test_what_is_left_out_is_said(self):
        assert "and 5 more" in displays.card("x", {str(k): k for k in range(25)})
        assert "and 5 more" in displays.table("x", ["a"], [[k] for k in range(25)])


def lines(text):
    """Lines on a terminal of 80 columns."""
    return sum(max(1, math.ceil(len(line) / 80)) for line in text.splitlines())


class TestOneLine:
    @pytest.mark.parametrize("name", SHOWN)
    def test_fits_a_screen(self, shown, name):
        assert lines(repr(shown[name])) < 25

    def test_of_what_results_hold(self, shown):
        run = shown["run"]
        others = [
            run.order_parameters(), run.stats, run.end, run.path, run.initial, shown["ensemble"].loss,
            flow.replay(FOUR, run.initial, run.path), shown["alignment"].extremals[0],
            limits.Linearised(LARGE, shown["particles"]),
            limits.early_alignment(mf.Problem(noise(5, 300), noise(5))),
            shown["closed form"].law.displacement(np.linspace(0, 1, 500)),
        ]  # fmt: skip
        for other in others:
            assert lines(repr(other)) < 25, repr(other)[:300]

    def test_arrays_by_their_shape(self, shown):
        seen = repr(shown["run"].order_parameters())
        assert seen.startswith("<OrderParameters: time of shape (300,), kernel_change of shape (300,)")


CELLS = {
    "problem": "import meanfield as mf\nproblem = mf.datasets.four_points()\nproblem",
    "scaling": "scaling = mf.Scaling.named('mean-field')\nscaling",
    "regime": "scaling.regime",
    "particles": "network = mf.Particles.sample(problem, scaling, 50, rng=0)\nnetwork",
    "run": "run = mf.gradient_flow(problem, network)\nrun",
    "limit": "mf.infinite_width(problem, mf.Scaling(0.5), width=1e30)",
    "ensemble": "found = mf.ensemble(problem, scaling, 50, seeds=3)\nfound",
    "diagram": "mf.phase_diagram(problem, gamma=[0.5, 1.5], gamma_prime=[0.0], widths=[10, 20])",
}
BARS = {
    "default": "from meanfield import bars\n(bars.in_notebook(), bars.visible(None), bars.visible(False))",
    "widget": "import warnings; warnings.simplefilter('error')\n"
    "mf.gradient_flow(problem, network, progress=True); None",
    "sweep": "grid = dict(gamma=[0.5], gamma_prime=[0.0], widths=[10, 20])\n"
    "mf.phase_diagram(problem, **grid, progress=True); None",
    "seeds": "mf.ensemble(problem, scaling, 50, seeds=3, progress=True); None",
    "slow": "import time\nfrom meanfield.flow.recording import Progress\n"
    "bar = Progress(None, target=None, t_end=1.0, since=time.monotonic() - 1.9)\n"
    "now = lambda t: type('Now', (), {'time': t, 'loss': 1.0, 'steps': 1})()\n"
    "bar.update(now(0.0)); time.sleep(0.4); bar.update(now(0.5)); bar.close()",
    "quick": "bar = Progress(None, target=None, t_end=1.0)\nbar.update(now(0.5)); bar.close()",
    "without widgets": "import sys\n"
    "for name in [name for name in sys.modules if name.startswith(('ipywidgets', 'tqdm'))]:\n"
    "    del sys.modules[name]\nsys.modules['ipywidgets'] = None\nbars.bar_class.cache_clear()\n"
    "mf.gradient_flow(problem, network, progress=True); None",
}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """What a fresh Jupyter kernel, without any settings, shows for each cell."""
    folder = tmp_path_factory.mktemp("notebook")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        patch.setenv("JUPYTER_CONFIG_DIR", str(folder / "jupyter"))
        patch.delenv("TQDM_DISABLE", raising=False)
        cells = CELLS | BARS
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in cells.values()])
        nbclient.NotebookClient(book, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return {name: cell["outputs"] for name, cell in zip(cells, book.cells, strict=True)}


def texts(cell):
    return "".join(output.get("text", "") for output in cell)


def widgets(cell):
    key = "application/vnd.jupyter.widget-view+json"
    return [output for output in cell if key in output.get("data", {})]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning", "ignore::ResourceWarning")
class TestInARealKernel:
    @pytest.mark.parametrize("name", CELLS)
    def test_a_bare_last_line_shows_a_table(self, outputs, name):
        (output,) = outputs[name]
        page = Reader(output["data"]["text/html"])
        assert page.tags[0] == ("div", {"class": "meanfield", "style": "font-size: 0.9em; margin: 0.3em 0"})
        assert lines(output["data"]["text/plain"]) < 25

    def test_bars_are_on_by_default(self, outputs):
        assert outputs["default"][0]["data"]["text/plain"] == "(True, True, False)"

    @pytest.mark.parametrize("name", ["widget", "sweep", "seeds", "slow"])
    def test_bars_are_widgets(self, outputs, name):
        assert widgets(outputs[name])
        assert "Warning" not in texts(outputs[name])

    def test_no_bar_before_two_seconds(self, outputs):
        assert outputs["quick"] == []

    def test_text_and_no_warning_without_ipywidgets(self, outputs):
        assert not widgets(outputs["without widgets"])
        assert "gradient flow" in texts(outputs["without widgets"])
        assert "IProgress" not in texts(outputs["without widgets"])


def test_tqdm_disable(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    assert bars.visible(None)
    monkeypatch.setenv("TQDM_DISABLE", "1")
    assert not bars.visible(None)
    assert bars.visible(True)
