"""Results as tables of pandas, data sets of xarray and files: coordinates, units, nothing lost."""

import importlib
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas
import pytest
import sympy
import xarray

import meanfield as mf
from meanfield import InputError, MissingExtraError, limits, symbolic
from meanfield.experiments import LimitSettings, methods_text

FOUR = mf.datasets.four_points()
NTK, MEAN_FIELD = mf.Scaling.named("ntk"), mf.Scaling.named("mean-field")
TIMES = [1.0, 10.0]


@pytest.fixture(scope="module")
def results():
    network = mf.Particles.sample(FOUR, MEAN_FIELD, 20, rng=0)
    run = mf.gradient_flow(FOUR, network, save_at=TIMES, loss_tol=0, save_parameters=True)
    limit = mf.infinite_width(FOUR, MEAN_FIELD, width=20, nodes=64, loss_tol=1e-2)
    grid = {"gamma": [0.5, 1.0, 1.5], "gamma_prime": [0.0, 0.5], "widths": [20, 80]}
    return {
        "run": run,
        "limit": limit,
        "closed form": mf.infinite_width(FOUR, NTK, width=1e30),
        "ensemble": mf.ensemble(FOUR, MEAN_FIELD, 20, seeds=3, save_at=[*TIMES, 1e5], loss_tol=1e-2),
        "diagram": mf.phase_diagram(FOUR, **grid, seeds=2, loss_tol=1e-1, progress=False, predict=True),
        "map of the limit": mf.limit_diagram(FOUR, gamma=[0.5, 1.5], gamma_prime=[0.0]),
        "boundary": mf.boundary(FOUR, gamma_prime=[0.0], widths=[20, 40], max_points=1, progress=False),
        "comparison": limits.compare(run, limit),
        "order parameters": run.order_parameters(),
        "alignment": limits.early_alignment(FOUR),
    }


NAMES = (
    "run", "limit", "closed form", "ensemble", "diagram", "map of the limit", "boundary", "comparison",
    "order parameters", "alignment",
)  # fmt: skip


class TestEveryResult:
    @pytest.mark.parametrize("name", NAMES)
    def test_to_pandas(self, results, name):
        table = results[name].to_pandas()
        assert isinstance(table, pandas.DataFrame)
        assert len(table) > 0
        known = set(table.columns) | set(table.index.names)
        assert set(table.attrs["units"]) <= known
        assert table.attrs["units"]
        table.to_csv()

    @pytest.mark.parametrize("name", NAMES)
    def test_to_xarray(self, results, name, tmp_path):
        data = results[name].to_xarray()
        assert isinstance(data, xarray.Dataset)
        for coordinate in ("time", "gamma", "gamma_prime", "width"):
            if coordinate in data.coords:
                assert data[coordinate].attrs["units"]
                assert data[coordinate].attrs["long_name"]
        data.to_netcdf(tmp_path / "result.nc", engine="scipy")  # a file holds all of it
        again = xarray.load_dataset(tmp_path / "result.nc", engine="scipy")
        assert set(again) == set(data)

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize(("method", "package"), [("to_pandas", "pandas"), ("to_xarray", "xarray")])
    def test_without_the_package(self, results, name, method, package, monkeypatch):
        real = importlib.import_module

        def without(wanted, *rest):
            if wanted == package:
                raise ImportError(wanted)
            return real(wanted, *rest)

        monkeypatch.setattr(importlib, "import_module", without)
        message = (
            rf"^{method} needs {package}, which is not installed; pip install 'meanfield-nn\[{package}\]'$"
        )
        with pytest.raises(MissingExtraError, match=message):
            getattr(results[name], method)()


def test_neither_package_is_imported_by_a_result():
    """Only what is asked for is loaded."""
    import subprocess
    import sys

    code = (
        "import sys, meanfield as mf; p = mf.datasets.four_points(); "
        "mf.gradient_flow(p, mf.Particles.sample(p, mf.Scaling(0.5), 10, rng=0), max_steps=2); mf.ensemble; "
        "print(sorted({'pandas', 'xarray', 'tqdm.notebook', 'IPython'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


class TestValues:
    def test_of_a_run(self, results):
        run = results["run"]
        table, data = run.to_pandas(), run.to_xarray()
        assert table.index.tolist() == TIMES
        np.testing.assert_array_equal(table["loss"], run.loss)
        assert (table.attrs["status"], table.attrs["units"]["time"]) == ("REACHED_TIME", "tbar")
        np.testing.assert_array_equal(data["output"].sel(time=10.0), run.output[1])
        assert data["w"].shape == (2, 20, 2)
        assert data["output"].dims == ("time", "sample")
        np.testing.assert_array_equal(data["input"][:, 0], FOUR.x[:, 0])
        assert "feature" not in data.coords

    def test_of_a_run_on_features_with_names(self):
        problem = mf.Problem([[0.0, 1.0], [2.0, 5.0]], [0.5, -0.5], feature_names=["kelvin", "bar"])
        data = mf.gradient_flow(
            problem, mf.Particles.sample(problem, NTK, 20, rng=0), loss_tol=1e-1
        ).to_xarray()
        assert data["input"].sel(feature="bar").values.tolist() == [1.0, 5.0]

    def test_of_a_limit(self, results):
        attributes = results["limit"].to_xarray().attrs
        assert (attributes["source"], attributes["nodes"]) == ("mean-field", results["limit"].nodes)
        assert results["closed form"].to_pandas().attrs["error"] == results["closed form"].error

    def test_of_an_ensemble(self, results):
        found = results["ensemble"]
        table, data = found.to_pandas(), found.to_xarray()
        assert table.index.names == ["seed", "time"]
        np.testing.assert_array_equal(table["loss"].unstack(), found.loss.values)
        np.testing.assert_array_equal(table["rd_w"].loc[2, 10.0], found.runs[2].rd_w[1])
        assert np.isnan(table["loss"].loc[0, 1e5])  # not reached
        assert data["output"].dims == ("seed", "time", "sample")
        assert data["status"].values.tolist() == ["CONVERGED"] * 3
        np.testing.assert_array_equal(data["loss_at_end"], [run.end.loss for run in found.runs])
        ends = found.ends_to_pandas()
        np.testing.assert_array_equal(ends["time"], [run.end.time for run in found.runs])
        assert ends.index.name == "seed"

    def test_of_a_diagram(self, results, tmp_path):
        diagram = results["diagram"]
        table, data = diagram.to_pandas(), diagram.to_xarray()
        np.testing.assert_array_equal(data["S_w"], diagram.S_w)
        np.testing.assert_array_equal(data["S_a"].sel(gamma_prime=0.5), diagram.S_a[1])
        np.testing.assert_array_equal(data["predicted_S_a"], diagram.predicted_S_a)
        np.testing.assert_array_equal(data["rd_a"], diagram.rd_a)
        assert data["verdict"].sel(gamma=0.5, gamma_prime=0.0) == diagram.rows[0].verdict.value
        assert table.index.names == ["gamma_prime", "gamma"]
        assert table.loc[(0.5, 1.0), "S_w"] == diagram.S_w[1, 1]
        written = pandas.read_csv(diagram.to_csv(tmp_path / "summary.csv"))
        back = table.reset_index()[list(written.columns)]
        for column in written.columns:
            if written[column].dtype == np.float64:
                np.testing.assert_array_equal(written[column], back[column].astype(float))
        runs = diagram.runs_to_pandas()
        assert len(runs) == 3 * 2 * 2 * 2
        assert runs["rd_w"].tolist() == [result.rd_w for result in diagram.results]

    def test_of_a_boundary(self, results):
        table = results["boundary"].to_pandas()
        assert table["gamma_star"].tolist() == results["boundary"].gamma_star.tolist()
        assert table.index.tolist() == [0.0]

    def test_of_an_alignment(self, results):
        alignment = results["alignment"]
        assert alignment.to_pandas()["rate"].tolist() == [e.rate for e in alignment.extremals]
        np.testing.assert_array_equal(alignment.to_xarray()["direction"][0], alignment.extremals[0].direction)


NAMED = mf.Problem([[0.0, 1.0], [2.0, 5.0], [1.0, -1.0]], [0.5, -0.5, 0.1], feature_names=["kelvin", "bar"])


class TestLaws:
    """Closed forms hold at all times: those that are asked for are the rows."""

    @pytest.fixture(params=["kernel regime", "linearised"])
    def law(self, request):
        if request.param == "kernel regime":
            return limits.KernelRegime.at(NAMED, NTK, width=1e4)
        return limits.Linearised(NAMED, mf.Particles.sample(NAMED, NTK, 50, rng=0))

    def test_to_pandas(self, law, tmp_path):
        times = [0.0, 1.0, math.inf]
        table = law.to_pandas(times)
        assert (table.index.name, table.index.tolist()) == ("time", times)
        assert (table.attrs["units"]["time"], table.attrs["units"]["loss"]) == ("tbar", "y**2")
        assert table.attrs["unlearnable"] == law.unlearnable
        for k, t in enumerate(times):
            moved = law.displacement(t)
            row = (law.loss(t), moved.rd_w, moved.rd_a)
            assert tuple(table[["loss", "rd_w", "rd_a"]].iloc[k]) == row
            if "nonlinearity" in table:
                assert table["nonlinearity"].iloc[k] == law.nonlinearity(t)
        assert ("nonlinearity" in table) == isinstance(law, limits.KernelRegime)
        table.to_csv(tmp_path / "law.csv")
        again = pandas.read_csv(tmp_path / "law.csv", index_col="time")
        pandas.testing.assert_frame_equal(again, table, check_exact=True)

    def test_to_xarray(self, law, tmp_path):
        data = law.to_xarray([1.0, 4.0])
        assert data["output"].dims == ("time", "sample")
        np.testing.assert_allclose(data["output"], law.output(NAMED.features, [1.0, 4.0]), rtol=1e-9)
        assert data["input"].sel(feature="bar").values.tolist() == [1.0, 5.0, -1.0]
        assert data["time"].attrs["units"] == "tbar"
        data.to_netcdf(tmp_path / "law.nc", engine="scipy")
        again = xarray.load_dataset(tmp_path / "law.nc", engine="scipy")
        for name in ("loss", "rd_w", "rd_a", "output", "target"):
            np.testing.assert_array_equal(again[name], data[name])

    def test_one_time_is_one_row(self, law):
        assert law.to_pandas(2.0)["loss"].tolist() == [law.loss(2.0)]

    @pytest.mark.parametrize("t", [-1.0, [1.0, -1.0], [], "end", math.nan, [[1.0]]])
    def test_no_time(self, law, t):
        for export in (law.to_pandas, law.to_xarray):
            with pytest.raises(InputError, match=r"^t (is|has shape)"):
                export(t)


class TestExponents:
    """What is derived, as tables: text of SymPy that reads back, and maps of numbers."""

    @pytest.fixture(params=[symbolic.TwoLayer(), symbolic.ThreeLayer()], ids=["two layers", "three layers"])
    def found(self, request):
        return symbolic.derive_exponents(request.param)

    def test_regions_round_trip(self, found, tmp_path):
        found.to_pandas().to_csv(tmp_path / "regions.csv", index=False)
        table = pandas.read_csv(tmp_path / "regions.csv")
        names = {"gamma": symbolic.gamma, "gamma_prime": symbolic.gamma_prime}
        assert len(table) == len(found.regions)
        for region, (_, row) in zip(found.regions, table.iterrows(), strict=True):
            assert row["region"] == region.name
            assert symbolic.Growth(row["growth"]) is region.growth
            assert sympy.sympify(row["condition"], locals=names) == region.condition
            assert sympy.sympify(str(row["time_exponent"]), locals=names) == region.time
            for layer, order in region.orders.items():
                assert sympy.sympify(str(row[f"S_{layer}"]), locals=names) == order

    def test_maps(self, found, tmp_path):
        gamma, gamma_prime = [0.5, 1.75], [0.0, 0.25, -3.0]
        found.to_xarray(gamma, gamma_prime).to_netcdf(tmp_path / "maps.nc", engine="scipy")
        maps = xarray.load_dataset(tmp_path / "maps.nc", engine="scipy")
        for layer in found.network.layers:
            for g in gamma:
                for gp in gamma_prime:
                    (exact,) = found.numeric(f"S_{layer}")(g, gp)
                    assert maps[f"predicted_S_{layer}"].sel(gamma=g, gamma_prime=gp) == exact
        assert set(maps) == {f"predicted_S_{layer}" for layer in found.network.layers} | {"time_exponent"}

    def test_maps_are_those_of_a_diagram(self, results):
        diagram = results["diagram"].to_xarray()
        maps = symbolic.derive_exponents().to_xarray(diagram["gamma"], diagram["gamma_prime"])
        np.testing.assert_array_equal(maps["predicted_S_w"], diagram["predicted_S_w"])
        np.testing.assert_array_equal(maps["predicted_S_a"], diagram["predicted_S_a"])


class TestPredictedSa:
    def test_is_the_theory(self, results):
        diagram = results["diagram"]
        for i, gamma_prime in enumerate(diagram.gamma_prime):
            for j, gamma in enumerate(diagram.gamma):
                S_w, S_a = mf.exponents(float(gamma), float(gamma_prime))
                assert (diagram.predicted_S_w[i, j], diagram.predicted_S_a[i, j]) == (S_w, S_a)


def test_a_closed_form_claims_no_quality_of_steps(results):
    """Its statistics said tolerances of 0, and that the flow's laws had been seen to hold."""
    stats = results["closed form"].stats
    assert stats.steps == stats.passes == 0
    unknown = (stats.rtol, stats.atol, stats.conservation_drift, stats.energy_drift, stats.capacity)
    assert np.isnan(unknown).all()


class TestMapOfTheLimit:
    """It held cells with seeds and settings with a tolerance that no computation had."""

    def test_says_what_was_computed(self, results):
        diagram = results["map of the limit"]
        assert diagram.of_limit
        assert not results["diagram"].of_limit
        assert diagram.settings == LimitSettings(diagram.settings.loss_atol, nodes=256, tol=1e-3)
        assert [one.cell.width for one in diagram.results[:2]] == [1e20, 1e30]
        assert {one.source for one in diagram.results} == {"kernel", "mean-field"}
        for one in diagram.results:
            assert (one.steps == 0) == (one.source == "kernel")
        text = methods_text(diagram)
        assert "scales m = 1e+20, 1e+30. No network was drawn" in text
        assert "2 times by the closed form of the kernel regime and 2 times by gradient flow of 256" in text
        assert not re.search("seed|random|trained|tolerance 0.01| 0 s ", text)
        assert "widths [1e+20, 1e+30], limit)" in repr(diagram)
        assert "seed" not in diagram._repr_html_()
        assert list(diagram.runs_to_pandas().columns)[2:4] == ["width", "rd_w"]
        assert not {"seed", "capacity"} & set(diagram.runs_to_pandas().columns)

    def test_files_of_older_versions_are_read(self):
        kept = mf.load(Path(__file__).parent / "kept" / "limit-map.npz")
        fresh = mf.limit_diagram(FOUR, gamma=[0.5, 1.0, 1.5], gamma_prime=[0.0])
        assert kept.settings == LimitSettings(fresh.settings.loss_atol)
        assert [(one.cell, one.source, one.status) for one in kept.results] == [
            (one.cell, one.source, one.status) for one in fresh.results
        ]
        np.testing.assert_allclose(kept.rd_w, fresh.rd_w, rtol=1e-6)


class TestFilesOfDiagrams:
    @pytest.mark.parametrize("name", ["diagram", "map of the limit"])
    def test_round_trip(self, results, name, tmp_path):
        diagram = results[name]
        path = diagram.save(tmp_path / "map")
        assert path == tmp_path / "map.npz"
        for again in (mf.load(path), mf.PhaseDiagram.load(str(path))):
            assert type(again) is mf.PhaseDiagram
            for field in ("gamma", "gamma_prime", "widths", "seeds", "rd_w", "rd_a", "S_w", "S_a_interval"):
                np.testing.assert_array_equal(getattr(again, field), getattr(diagram, field))
            assert repr(again.results) == repr(diagram.results)
            assert repr(again.rows) == repr(diagram.rows)
            assert repr(again.zeros) == repr(diagram.zeros)
            assert repr(again) == repr(diagram)
            assert (again.settings, again.origins) == (diagram.settings, diagram.origins)
            assert (again.confidence, again.uncertainty, again.missing) == (
                diagram.confidence, diagram.uncertainty, diagram.missing,
            )  # fmt: skip
            np.testing.assert_array_equal(again.zeros_at_widths, diagram.zeros_at_widths)
            assert again.problem.fingerprint == diagram.problem.fingerprint
            assert again.problem.name == diagram.problem.name
        mf.plotting.phase_diagram(mf.load(path))

    def test_prediction_to_the_bit(self, results, tmp_path):
        diagram = results["diagram"]
        again = mf.load(diagram.save(tmp_path / "map"))
        at = np.linspace(0.5, 1.5, 100)
        for one, other in zip(again.prediction.curves, diagram.prediction.curves, strict=True):
            np.testing.assert_array_equal(one(at), other(at))
        assert repr(again.prediction.points) == repr(diagram.prediction.points)

    def test_with_runs_missing(self, results, tmp_path):
        diagram = results["diagram"]
        rd_w = diagram.rd_w.copy()
        rd_w[0, 0, 0, 0] = np.nan
        part = replace(diagram, rd_w=rd_w, results=diagram.results[1:], missing=1, prediction=None)
        again = mf.load(part.save(tmp_path / "part"))
        assert (again.missing, len(again.results), again.prediction) == (1, len(part.results), None)
        np.testing.assert_array_equal(again.rd_w, rd_w)

    def test_of_another_kind(self, results, tmp_path):
        path = results["diagram"].save(tmp_path / "map")
        for reader in (mf.Trajectory.load, mf.InfiniteWidth.load, limits.load):
            with pytest.raises(
                InputError, match=r"holds a phase diagram; read it with meanfield\.load or Ph"
            ):
                reader(path)
        path = results["run"].save(tmp_path / "run")
        with pytest.raises(InputError, match=r"holds the run of a network; read it with meanfield"):
            mf.PhaseDiagram.load(path)

    @pytest.mark.parametrize("damage", ["rd_w", "settings", "status", "x", "confidence", "curve_0_where"])
    def test_damaged(self, results, damage, tmp_path):
        path = results["diagram"].save(tmp_path / "map")
        with np.load(path) as archive:
            arrays = dict(archive)
        meta = json.loads(str(arrays.pop("meta")))
        if damage in arrays:
            arrays[damage] = arrays[damage][:-1]
        else:
            meta[damage] = {"confidence": 2.0, "settings": {"loss_atol": "x"}}.get(damage, [])
        np.savez(path, meta=np.array(json.dumps(meta)), **arrays)
        with pytest.raises(InputError, match=r"does not hold a saved run, or is damaged"):
            mf.load(path)

    def test_no_pickles(self, results, tmp_path):
        with np.load(results["diagram"].save(tmp_path / "map"), allow_pickle=False) as archive:
            meta = json.loads(str(archive["meta"]))
            assert all(archive[name].dtype.kind in "fiU" for name in archive)
        assert meta["kind"] == "diagram"
        assert meta["settings"] == results["diagram"].settings.described()
