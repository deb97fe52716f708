"""Files of results: one `load` for all kinds, the kind in the file, files of earlier versions."""

import json
from pathlib import Path

import numpy as np
import pytest

import meanfield as mf
from meanfield import InputError

#: Written by version 0.1.0 at commit dd03ffe: a run and a limit (format 1), a store (layout 2).
#: At commit 2fdba07: a run (format 2).
KEPT = Path(__file__).parent / "kept"
FOUR = mf.datasets.four_points()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A run and a limit, with their files."""
    folder = tmp_path_factory.mktemp("saved")
    network = mf.Particles.sample(FOUR, mf.Scaling(1.0), 10, rng=0)
    run = mf.gradient_flow(FOUR, network, t_end=0.1)
    limit = mf.infinite_width(FOUR, mf.Scaling(0.5), width=1e30)
    return {"run": (run, run.save(folder / "run")), "limit": (limit, limit.save(folder / "limit"))}


@pytest.mark.parametrize("kind", ["run", "limit"])
def test_load_gives_what_was_saved(saved, kind):
    result, path = saved[kind]
    again = mf.load(path)
    assert type(again) is type(result)
    assert repr(again) == repr(result)
    with np.load(path) as archive:
        assert json.loads(str(archive["meta"]))["kind"] == kind


def test_a_limit_keeps_its_error(saved):
    limit, path = saved["limit"]
    for again in (mf.load(path), mf.InfiniteWidth.load(path)):
        assert (again.error, again.rd_error, again.source) == (limit.error, limit.rd_error, limit.source)
        assert again.accurate


def test_another_kind_is_refused_in_one_sentence(saved):
    limit = r"^'.*limit\.npz' holds a limit of infinite width; read it with meanfield\.load or InfiniteWidth"
    with pytest.raises(InputError, match=limit):
        mf.Trajectory.load(str(saved["limit"][1]))
    with pytest.raises(
        InputError,
        match=r"^'.*run\.npz' holds the run of a network; read it with meanfield\.load or Trajectory",
    ):
        mf.InfiniteWidth.load(str(saved["run"][1]))


@pytest.mark.parametrize(
    "meta", [{"kind": "picture"}, {"kind": None}, {"format": 5}, {"format": 0}, {"format": "1"}]
)
def test_what_no_version_writes(saved, meta, tmp_path):
    with np.load(saved["run"][1]) as archive:
        arrays = dict(archive)
    known = json.loads(str(arrays.pop("meta"))) | meta
    np.savez(tmp_path / "run.npz", meta=np.array(json.dumps(known)), **arrays)
    with pytest.raises(InputError, match=r"does not hold a saved run, or is damaged"):
        mf.load(tmp_path / "run.npz")


def test_a_run_of_format_1():
    """Numbers as they were printed by the version that wrote it."""
    run = mf.load(KEPT / "run.npz")
    assert type(run) is mf.Trajectory
    assert run.status is mf.Status.REACHED_TIME
    assert (run.time.tolist(), run.stats.steps, run.initial.size) == ([0.0, 0.5, 1.0], 2, 4)
    assert run.loss[-1] == pytest.approx(0.0145, abs=5e-5)
    assert run.rd_w[-1] == pytest.approx(0.005988, rel=1e-4)
    assert run.problem.fingerprint == FOUR.fingerprint
    with pytest.raises(InputError, match=r"holds the run of a network; read it with"):
        mf.InfiniteWidth.load(KEPT / "run.npz")


def test_a_limit_of_format_1():
    limit = mf.load(KEPT / "limit.npz")
    assert type(limit) is mf.InfiniteWidth
    assert limit.error == pytest.approx(0.00035125973518416906, rel=1e-12)
    assert limit.rd_error == pytest.approx(0.027570238738153563, rel=1e-12)
    assert (limit.nodes, limit.source, limit.tolerance) == (58, "mean-field", 1e-3)
    assert limit.rd_w[-1] == pytest.approx(0.02542, rel=1e-3)
    with pytest.raises(InputError, match=r"holds a limit of infinite width; read it with"):
        mf.Trajectory.load(KEPT / "limit.npz")


@pytest.mark.parametrize("name", ["run", "limit"])
def test_files_of_format_1_are_written_in_today_s(name, tmp_path):
    old = mf.load(KEPT / f"{name}.npz")
    new = mf.load(old.save(tmp_path / name))
    assert repr(new) == repr(old)
    for field in ("time", "loss", "output", "rd_w", "rd_a"):
        np.testing.assert_array_equal(getattr(new, field), getattr(old, field))


def test_a_run_of_format_2():
    """Neither standardisation nor names; numbers as they were printed by the version that wrote it."""
    run = mf.load(KEPT / "run-2.npz")
    assert (run.status, run.problem.name) == (mf.Status.REACHED_TIME, "four points")
    assert (run.problem.standardisation, run.problem.feature_names) == (None, None)
    assert run.problem.same_as(FOUR)
    assert run.loss[-1] == pytest.approx(0.015157826524655905, rel=1e-12)
    assert run.rd_w[-1] == pytest.approx(0.0030401917229546543, rel=1e-12)
