"""The store: what survives, what is refused, stores joined and written as tables, two processes on one."""

import contextlib
import csv
import dataclasses
import gzip
import json
import math
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from sweeps import FOUR, SMALL, numbers, sweep

from meanfield import InputError, Problem, StoreError, phase_diagram
from meanfield.errors import MissingExtraError
from meanfield.experiments import (
    Cell,
    CellSettings,
    SweepInterrupted,
    SweepStore,
    export_store,
    merge_stores,
    run_cell,
    store_text,
    store_to_xarray,
)
from meanfield.experiments.layout import connect
from meanfield.experiments.origin import Origin, here
from meanfield.experiments.store import Record


@pytest.fixture(scope="module")
def serial():
    return sweep()


class TestResume:
    @pytest.fixture
    @staticmethod
    def counted(monkeypatch):
        """The cells that are run, in order; the real function behind."""
        cells = []

        def counting(problem, cell, settings):
            cells.append(cell)
            return run_cell(problem, cell, settings)

        monkeypatch.setattr("meanfield.experiments.executors.run_cell", counting)
        return cells

    def test_finished_cells_are_not_run_again(self, serial, counted, tmp_path):
        store = tmp_path / "sweep.sqlite"
        assert numbers(sweep(store=store)) == numbers(serial)
        assert len(counted) == 12
        counted.clear()
        assert numbers(sweep(store=store)) == numbers(serial)
        assert counted == []

    def test_an_extended_grid_runs_new_cells_only(self, counted, tmp_path):
        store = tmp_path / "sweep.sqlite"
        sweep(store=store)
        counted.clear()
        wider = sweep(store=store, gamma=[0.5, 0.9, 1.75], seeds=3)
        old = {
            Cell(gamma, 0.0, width, seed)
            for gamma in (0.5, 1.75)
            for width in (20, 40, 80)
            for seed in (0, 1)
        }
        assert len(counted) == len(set(counted)) == 27 - 12
        assert not old & set(counted)
        assert wider.missing == 0
        # a smaller grid takes its part of the store
        counted.clear()
        assert sweep(store=store, gamma=[0.9], seeds=1).results == tuple(
            r for r in wider.results if r.cell.gamma == 0.9 and r.cell.seed == 0
        )
        assert counted == []

    def test_after_an_interruption(self, serial, counted, monkeypatch, tmp_path):
        store = tmp_path / "sweep.sqlite"

        def interrupted(problem, cell, settings):
            if len(counted) == 5:
                raise KeyboardInterrupt
            counted.append(cell)
            return run_cell(problem, cell, settings)

        monkeypatch.setattr("meanfield.experiments.executors.run_cell", interrupted)
        message = rf"interrupted after 5 cells, which are kept in .*{store.name}; the same call resumes there"
        with pytest.raises(SweepInterrupted, match=message) as info:
            sweep(store=store)
        assert info.value.diagram.missing == 7
        assert len(info.value.diagram.results) == 5
        monkeypatch.setattr("meanfield.experiments.executors.run_cell", run_cell)
        assert numbers(sweep(store=store)) == numbers(serial)

    def test_interruption_without_a_store(self, monkeypatch):
        def interrupted(problem, cell, settings):
            raise KeyboardInterrupt

        monkeypatch.setattr("meanfield.experiments.executors.run_cell", interrupted)
        with pytest.raises(
            SweepInterrupted, match=r"after 0 cells, which are in .diagram \(no store was given\)"
        ):
            sweep()

    def test_every_field_survives(self, serial, tmp_path):
        with SweepStore(tmp_path / "s.sqlite", FOUR, serial.settings) as store:
            for result in serial.results:
                store.add(result)
                store.add(result)  # another process found the same
        with SweepStore(tmp_path / "s.sqlite", FOUR, serial.settings) as store:
            assert tuple(store.results()) == serial.results
        assert [file.name for file in tmp_path.iterdir()] == ["s.sqlite"]

    def test_an_empty_file_is_a_new_store(self, tmp_path):
        """As an unlucky death between making the file and its tables leaves it."""
        store = tmp_path / "sweep.sqlite"
        store.touch()
        assert sweep(store=store, gamma=[0.5]).missing == 0


class TestOlderStores:
    """A store that version 0.1.0 wrote at commit dd03ffe (layout 2): per half, to R <= 1e-4."""

    GRID = {  # noqa: RUF012
        "gamma": [0.5], "gamma_prime": [0.0], "widths": [10, 20], "seeds": 1, "per_half": True,
        "loss_atol": 1e-4, "progress": False,
    }  # fmt: skip

    @pytest.fixture
    @staticmethod
    def kept(tmp_path):
        path = tmp_path / "kept.sqlite"
        path.write_bytes(gzip.decompress((Path(__file__).parent / "kept" / "store.sqlite.gz").read_bytes()))
        return path

    def test_says_what_was_run(self, kept):
        before = kept.read_bytes()
        with SweepStore.open(kept) as store:
            assert store.settings == CellSettings(1e-4, per_half=True)
            assert store.problem.fingerprint == FOUR.fingerprint
            records = list(store.records())
        assert [record.result.cell for record in records] == [Cell(0.5, 0.0, m, 0) for m in (10, 20)]
        assert {(record.origin.host, record.finished[:10]) for record in records} == {("kept", "2026-01-01")}
        # As that version printed them.
        assert [record.result.rd_w for record in records] == [0.15203929970672297, 0.0612412889364084]
        assert [record.result.steps for record in records] == [10, 8]
        assert kept.read_bytes() == before

    def test_goes_on(self, kept, monkeypatch):
        def never(problem, cell, settings):
            raise AssertionError(f"{cell} is in the store")

        with monkeypatch.context() as patch:
            patch.setattr("meanfield.experiments.executors.run_cell", never)
            known = phase_diagram(FOUR, **self.GRID, store=kept)
        assert known.missing == 0
        more = phase_diagram(FOUR, **{**self.GRID, "widths": [10, 20, 40]}, store=kept)
        np.testing.assert_array_equal(more.rd_w[..., :2, :], known.rd_w)
        with SweepStore.open(kept) as store:
            assert len(list(store.results())) == 3

    def test_other_settings_are_refused(self, kept):
        before = kept.read_bytes()
        with pytest.raises(StoreError, match=r"other settings \(per_half = True there, False now\)"):
            phase_diagram(FOUR, **{**self.GRID, "per_half": False}, store=kept)
        with pytest.raises(StoreError, match=r"other settings \(loss_atol = 0.0001 there, 1e-05 now\)"):
            phase_diagram(FOUR, **{**self.GRID, "loss_atol": 1e-5}, store=kept)
        assert kept.read_bytes() == before

    def test_merges_with_a_new_one(self, kept, tmp_path):
        new = tmp_path / "new.sqlite"
        phase_diagram(FOUR, **{**self.GRID, "widths": [40, 80]}, store=new)
        merged = merge_stores(tmp_path / "all.sqlite", [kept, new])
        assert (merged.cells, merged.added, merged.repeated) == (4, 4, 0)

    def test_a_setting_that_was_added_has_its_default(self, tmp_path, serial):
        """The store of a version without `atol`, which is as if a later one had added it."""
        path = tmp_path / "sweep.sqlite"
        with SweepStore(path, FOUR, serial.settings) as store:
            store.add(serial.results[0])
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            (text,) = connection.execute("SELECT value FROM meta WHERE key = 'settings'").fetchone()
            fewer = {key: value for key, value in json.loads(text).items() if key != "atol"}
            connection.execute("UPDATE meta SET value = ? WHERE key = 'settings'", (json.dumps(fewer),))
        with SweepStore(path, FOUR, serial.settings) as store:
            assert list(store.results()) == [serial.results[0]]
        finer = dataclasses.replace(serial.settings, atol=1e-9)
        with pytest.raises(StoreError, match=r"other settings \(atol = 1e-06 there, 1e-09 now\)"):
            SweepStore(path, FOUR, finer)


class TestStoreRefusals:
    @pytest.fixture
    @staticmethod
    def path(tmp_path):
        path = tmp_path / "sweep.sqlite"
        sweep(gamma=[0.5], seeds=1, store=path)
        return path

    @staticmethod
    def refuses(path, message, problem=FOUR, **changes):
        before = path.read_bytes()
        with pytest.raises(StoreError, match=message):
            phase_diagram(problem, **{**SMALL, **changes}, store=path)
        assert path.read_bytes() == before
        assert [file.name for file in path.parent.iterdir()] == [path.name]

    def test_folder(self, tmp_path):
        with pytest.raises(StoreError, match=r"the store .* is a folder; give the path of a file in it"):
            sweep(store=tmp_path)

    def test_missing_folder(self, tmp_path):
        with pytest.raises(StoreError, match=r"the folder of the store .* does not exist; make it first"):
            sweep(store=tmp_path / "nowhere" / "sweep.sqlite")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("content", [b"gamma,S_w\n0.5,-0.5\n", b"x", b"SQLite format 2\0" + b"\0" * 100])
    def test_other_file(self, content, tmp_path):
        path = tmp_path / "notes.txt"
        path.write_bytes(content)
        self.refuses(path, r"is not a sweep's store; give another path \(it was left as it is\)")

    @pytest.mark.parametrize("journal", ["DELETE", "WAL"])
    def test_other_database(self, journal, tmp_path):
        path = tmp_path / "photos.db"
        connection = sqlite3.connect(path)
        connection.execute(f"PRAGMA journal_mode = {journal}")
        connection.execute("CREATE TABLE photos (name TEXT)")
        connection.execute("INSERT INTO photos VALUES ('sea')")
        connection.commit()
        connection.close()
        self.refuses(path, r"is a database of another program; give another path \(it was left as it is\)")

    def test_other_problem(self, path):
        other = Problem(FOUR.x[:, 0], FOUR.y + 0.1, name="shifted")
        self.refuses(path, r"belongs to another problem \('.*', not these data\); give another path", other)

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"rtol": 1e-3}, "rtol = 0.01 there, 0.001 now"),
            ({"rng": 5}, "entropy = 0 there, 5 now"),
            ({"antisymmetric": False}, "antisymmetric = True there, False now"),
            ({"per_half": True}, "per_half = False there, True now"),
            ({"max_steps": 77}, "max_steps = 20000 there, 77 now"),
            ({"loss_atol": 1e-5}, "loss_atol = .* there, 1e-05 now"),
        ],
    )
    def test_other_settings(self, path, change, named):
        self.refuses(
            path, rf"was run with other settings \({named}\); give another path, or the same", **change
        )

    def test_newer_layout(self, path):
        for layout in (1, 4):
            connection = sqlite3.connect(path)
            connection.execute(f"PRAGMA user_version = {layout}")
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.close()
            self.refuses(
                path,
                rf"has layout {layout}, this version of meanfield reads 2 to 3; use the version that wrote",
            )

    def test_settings_that_only_a_later_version_knows(self, path):
        connection = sqlite3.connect(path)
        (text,) = connection.execute("SELECT value FROM meta WHERE key = 'settings'").fetchone()
        more = json.dumps(json.loads(text) | {"temperature": 0.1})
        connection.execute("UPDATE meta SET value = ? WHERE key = 'settings'", (more,))
        connection.commit()
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.close()
        self.refuses(
            path,
            r"with settings that this version of meanfield does not know \(temperature\); use the version",
        )
        with pytest.raises(StoreError, match=r"does not know \(temperature\)"):
            SweepStore.open(path)

    def test_damaged(self, path):
        data = bytearray(path.read_bytes())
        data[100:] = random.Random(0).randbytes(len(data) - 100)
        path.write_bytes(data)
        self.refuses(
            path, r"the store .* cannot be used \(.*\); give a path in a writable folder, or another"
        )

    def test_truncated(self, path):
        path.write_bytes(path.read_bytes()[:3000])
        self.refuses(path, r"cannot be used \(.*\)")

    @pytest.mark.parametrize(
        "damage",
        [
            "UPDATE cells SET rd_w = 'abc'",
            "UPDATE cells SET rd_w = -1.0",
            "UPDATE cells SET rd_w = x'00ff'",
            "UPDATE cells SET status = 'BONVERGED'",
            "UPDATE cells SET status = 5",
            "UPDATE cells SET steps = 'many'",
            "UPDATE cells SET seed = 'x'",
            "UPDATE cells SET width = -width",
            "UPDATE cells SET origin = 99",
            "UPDATE origins SET origin = '{'",
            "UPDATE origins SET origin = '[]'",
            "UPDATE meta SET value = '{' WHERE key = 'settings'",
            "UPDATE meta SET value = '[1]' WHERE key = 'settings'",
        ],
    )
    def test_contents_that_no_sweep_writes(self, path, damage):
        connection = sqlite3.connect(path)
        connection.execute(damage)
        connection.commit()
        connection.close()
        with pytest.raises(StoreError, match=r"no sweep writes \(.*\); it is damaged|not say what was run"):
            sweep(gamma=[0.5], seeds=1, store=path)
        with pytest.raises(StoreError, match="damaged"), SweepStore.open(path) as store:
            list(store.records())

    def test_other_arguments_do_not_spoil_a_store(self, tmp_path):
        """A call that is refused leaves no store that the corrected call would be refused by."""
        path = tmp_path / "sweep.sqlite"
        for wrong in ({"rtol": 2.0}, {"max_steps": 0}, {"rng": -1}, {"executor": 0}):
            with pytest.raises(InputError):
                sweep(store=path, **wrong)
            assert not path.exists()
        assert sweep(store=path, gamma=[0.5]).missing == 0


class TestContents:
    @pytest.fixture
    @staticmethod
    def path(serial, tmp_path):
        path = tmp_path / "sweep.sqlite"
        with SweepStore(path, FOUR, serial.settings) as store:
            store.add_all(
                Record(result, "2026-01-02T03:04:05.678+00:00", here()) for result in serial.results
            )
        return path

    def test_a_store_says_all_that_was_run(self, path, serial):
        """Problem, settings and cells come back from the file alone, and give the same numbers."""
        with SweepStore.open(path) as store:
            assert store.problem.fingerprint == store.fingerprint == FOUR.fingerprint
            assert (store.problem_name, store.settings) == ("four points", serial.settings)
            records = list(store.records())
            assert tuple(record.result for record in records) == serial.results
            again = run_cell(store.problem, records[3].result.cell, store.settings)
        assert dataclasses.replace(again, seconds=0.0) == dataclasses.replace(records[3].result, seconds=0.0)
        assert {record.origin for record in records} == {here()}

    def test_when_and_where(self, tmp_path, serial):
        before = datetime.now().astimezone()
        elsewhere = dataclasses.replace(here(), host="node-7")
        with SweepStore(tmp_path / "s.sqlite", FOUR, serial.settings) as store:
            store.add(serial.results[0])
            store.add(serial.results[1], elsewhere)
            one, two = store.records()
        assert before.timestamp() - 1 <= datetime.fromisoformat(one.finished).timestamp()
        assert (one.origin, two.origin) == (here(), elsewhere)
        assert dict(one.origin.versions)["numpy"] == np.__version__
        assert Origin.from_json(two.origin.as_json()) == elsewhere

    def test_nan_survives(self, tmp_path, serial):
        odd = dataclasses.replace(serial.results[0], capacity=math.nan, rd_a=math.inf)
        with SweepStore(tmp_path / "s.sqlite", FOUR, serial.settings) as store:
            store.add(odd)
            (kept,) = store.results()
        assert math.isnan(kept.capacity)
        assert kept.rd_a == math.inf

    def test_data_of_any_shape(self, tmp_path):
        rng = np.random.default_rng(0)
        settings = CellSettings(loss_atol=1e-3)
        for index, bias in enumerate((True, False)):
            problem = Problem(rng.standard_normal((5, 3)), rng.standard_normal(5), bias=bias, name="five")
            SweepStore(tmp_path / f"{index}.sqlite", problem, settings).close()
            with SweepStore.open(tmp_path / f"{index}.sqlite") as store:
                assert store.problem.fingerprint == problem.fingerprint
                assert store.problem.bias is bias

    def test_data_too_large_to_keep(self, tmp_path, monkeypatch, serial):
        monkeypatch.setattr("meanfield.experiments.store._DATA_BYTES", 10)
        for name in "ab":
            with SweepStore(tmp_path / name, FOUR, serial.settings) as store:
                store.add(serial.results[name == "b"])
        with SweepStore.open(tmp_path / "a") as store:
            assert store.problem is None
            assert "four points; sha256" in store_text(store)
        with pytest.raises(StoreError, match="too large to be kept in a store"):
            merge_stores(tmp_path / "c", [tmp_path / "a", tmp_path / "b"])
        assert not (tmp_path / "c").exists()
        assert merge_stores(tmp_path / "a", [tmp_path / "b"]).cells == 2

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ("DELETE FROM meta WHERE key = 'settings'", "'settings'"),
            ("UPDATE meta SET value = '{}' WHERE key = 'settings'", "loss_atol"),
            (
                "UPDATE meta SET value = zeroblob(length(value)) WHERE key = 'y'",
                "its data are not those that",
            ),
        ],
    )
    def test_a_store_that_does_not_say_what_was_run(self, path, tmp_path, change, reason):
        spoiled = tmp_path / "spoiled.sqlite"
        shutil.copyfile(path, spoiled)
        with contextlib.closing(sqlite3.connect(spoiled)) as connection, connection:
            connection.execute(change)
        with pytest.raises(StoreError, match=rf"does not say what was run \(.*{reason}.*it is damaged"):
            SweepStore.open(spoiled)

    def test_a_disk_that_is_full_keeps_what_was_there(self, serial, tmp_path):
        """Records that are added together are all there or none is; with room again they are."""
        with SweepStore(tmp_path / "s", FOUR, serial.settings) as store:
            store.add(serial.results[0])
            before = list(store.records())
            pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
            store._connection.execute(f"PRAGMA max_page_count = {pages}")
            many = [
                Record(dataclasses.replace(before[0].result, cell=Cell(1.0, 0.0, m, 0)), "now", here())
                for m in range(2, 2002)
            ]
            with pytest.raises(StoreError, match=r"cannot be written to .*full.*make room"):
                store.add_all(many)
            assert list(store.records()) == before
            store._connection.execute("PRAGMA max_page_count = 1000000")
            store.add_all(many)
            assert len(list(store.records())) == 1 + len(many)

    def test_text(self, path):
        with SweepStore.open(path) as store:
            text = store_text(store)
        for phrase in (
            "12 cells", "four points: 4 samples, d = 2", "gamma       0.5, 1.75", "width       20, 40, 80",
            "12 CONVERGED", "loss_atol = ", "numpy " + np.__version__,
            "finished from 2026-01-02T03:04:05.678",
        ):  # fmt: skip
            assert phrase in text

    def test_two_thousand_cells_stay_small(self, serial, tmp_path, monkeypatch):
        """Under 10 MB with much room: 0.4 MB. Runs that take no time stand for quick ones."""
        monkeypatch.setattr(
            "meanfield.experiments.executors.run_cell",
            lambda problem, cell, settings: dataclasses.replace(serial.results[0], cell=cell),
        )
        path = tmp_path / "sweep.sqlite"
        gamma = [0.5 + 0.05 * i for i in range(10)]
        assert sweep(store=path, gamma=gamma, widths=[10, 20], seeds=100).missing == 0
        with SweepStore.open(path) as store:
            assert len(list(store.results())) == 2000
        assert path.stat().st_size < 1e6

    @pytest.mark.parametrize("content", [None, b""])
    def test_no_store(self, content, tmp_path):
        path = tmp_path / "nothing.sqlite"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(StoreError, match=r"there is no store .*; give the file that a sweep wrote"):
            SweepStore.open(path)
        assert path.exists() is (content is not None)

    def test_damage_in_the_middle(self, path):
        """A page of cells overwritten: found on opening, not when its cell is read."""
        with sqlite3.connect(path) as connection:
            page = connection.execute("PRAGMA page_size").fetchone()[0]
            (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'cells'").fetchone()
        connection.close()
        data = bytearray(path.read_bytes())
        data[(root - 1) * page : root * page] = b"\x99" * page
        path.write_bytes(data)
        for use in (SweepStore.open, lambda path: sweep(store=path)):
            with pytest.raises(StoreError, match=r"cannot be used .*another file if this one is damaged"):
                use(path)
        assert path.read_bytes() == data


class TestMerge:
    @pytest.fixture
    @staticmethod
    def shards(tmp_path):
        paths = [tmp_path / f"shard-{part}.sqlite" for part in (1, 2, 3)]
        for part, path in enumerate(paths, start=1):
            diagram = sweep(store=path, shard=(part, 3))
            assert diagram.missing == 8
        return paths

    def test_shards_make_the_whole(self, shards, serial, tmp_path):
        merged = merge_stores(tmp_path / "all.sqlite", shards)
        assert (merged.cells, merged.added, merged.repeated, merged.differing) == (12, 12, 0, 0)

        def no_more(*_):
            raise AssertionError

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("meanfield.experiments.executors.run_cell", no_more)
            assert numbers(sweep(store=tmp_path / "all.sqlite")) == numbers(serial)
        with SweepStore.open(tmp_path / "all.sqlite") as store:
            kept = {record.result.cell: record for record in store.records()}
        for path in shards:
            with SweepStore.open(path) as store:  # times and origins come along
                assert all(kept[record.result.cell] == record for record in store.records())

    def test_again_and_into_one_of_them(self, shards, tmp_path):
        merged = merge_stores(shards[0], shards)
        assert (merged.cells, merged.added, merged.repeated) == (12, 8, 0)
        merged = merge_stores(shards[0], shards[1:])
        assert (merged.cells, merged.added, merged.repeated, merged.differing) == (12, 0, 8, 0)

    def test_differing_copies_are_counted_and_the_first_kept(self, serial, tmp_path):
        first = serial.results[0]
        for name, result in (("a", first), ("b", dataclasses.replace(first, rd_w=first.rd_w * 2))):
            with SweepStore(tmp_path / name, FOUR, serial.settings) as store:
                store.add(result)
        merged = merge_stores(tmp_path / "c", [tmp_path / "a", tmp_path / "b"])
        assert (merged.cells, merged.repeated, merged.differing) == (1, 1, 1)
        with SweepStore.open(tmp_path / "c") as store:
            assert list(store.results()) == [first]

    def test_other_problem_or_settings(self, shards, serial, tmp_path):
        other = Problem(FOUR.x[:, 0], FOUR.y + 0.1, name="shifted")
        SweepStore(tmp_path / "other", other, serial.settings).close()
        SweepStore(tmp_path / "finer", FOUR, dataclasses.replace(serial.settings, rtol=1e-3)).close()
        for stranger, message in (
            ("other", r"belongs to another problem \('shifted'\) than .* merge stores of one sweep only"),
            ("finer", r"was run with other settings than .* \(rtol = 0.001 there, 0.01 now in the latter\)"),
        ):
            with pytest.raises(StoreError, match=message):
                merge_stores(tmp_path / "all.sqlite", [*shards, tmp_path / stranger])
            assert not (tmp_path / "all.sqlite").exists()
            before = (tmp_path / stranger).read_bytes()
            with pytest.raises(StoreError, match=r"merge stores of one sweep only"):
                merge_stores(tmp_path / stranger, shards)
            assert (tmp_path / stranger).read_bytes() == before

    def test_nothing_to_merge(self, tmp_path):
        with pytest.raises(InputError, match="no stores to merge; give the files that the shards wrote"):
            merge_stores(tmp_path / "all.sqlite", [])
        (tmp_path / "notes.txt").write_text("not a store at all")
        with pytest.raises(StoreError, match="is not a sweep's store"):
            merge_stores(tmp_path / "all.sqlite", [tmp_path / "notes.txt"])


class TestExport:
    @pytest.fixture(scope="class")
    @staticmethod
    def path(tmp_path_factory):
        path = tmp_path_factory.mktemp("export") / "sweep.sqlite"
        sweep(store=path)
        sweep(store=path, gamma=[0.9], widths=[20, 40], seeds=1)  # not a grid any more
        return path

    @pytest.fixture(scope="class")
    @staticmethod
    def results(path):
        with SweepStore.open(path) as store:
            return list(store.results())

    def test_csv(self, path, results, tmp_path):
        with export_store(path, tmp_path / "cells.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == len(results) == 14
        for row, result in zip(rows, results, strict=True):
            assert (float(row["gamma"]), int(row["width"])) == (result.cell.gamma, result.cell.width)
            assert float(row["rd_w"]) == result.rd_w
            assert (row["status"], row["host"]) == (result.status, here().host)
            assert datetime.fromisoformat(row["finished"]).year >= 2024

    def test_npz(self, path, results, tmp_path):
        with np.load(export_store(path, tmp_path / "cells.npz"), allow_pickle=False) as data:
            np.testing.assert_array_equal(data["rd_a"], [result.rd_a for result in results])
            np.testing.assert_array_equal(data["width"], [result.cell.width for result in results])
            np.testing.assert_array_equal(data["x"], FOUR.x)
            assert json.loads(str(data["settings"]))["rtol"] == 0.01

    def test_netcdf(self, path, results, tmp_path):
        xarray = pytest.importorskip("xarray")
        with xarray.open_dataset(export_store(path, tmp_path / "cells.nc"), engine="scipy") as data:
            assert dict(data.sizes) == {"gamma_prime": 1, "gamma": 3, "width": 3, "seed": 2}
            for result in results:
                cell = data.sel(dataclasses.asdict(result.cell))
                assert float(cell["rd_w"]) == result.rd_w
                assert str(cell["status"].values) == result.status
            assert int(np.isfinite(data["rd_w"]).sum()) == len(results)
            assert data.attrs["problem"] == "four points"

    def test_refusals(self, path, tmp_path, monkeypatch):
        before = path.read_bytes()
        for target, message in (
            (tmp_path / "cells.xlsx", r"ends in '.xlsx'; give a name in .csv, .npz or .nc"),
            (tmp_path / "no" / "cells.csv", r"cannot be written .*; give a writable place"),
            (tmp_path / "no" / "cells.npz", r"cannot be written .*; give a writable place"),
        ):
            with pytest.raises(InputError, match=message):
                export_store(path, target)
        monkeypatch.setitem(sys.modules, "xarray", None)
        with (
            SweepStore.open(path) as store,
            pytest.raises(MissingExtraError, match=r"pip install 'meanfield-nn\[xarray\]'"),
        ):
            store_to_xarray(store)
        assert path.read_bytes() == before


TWO = """
import sys
from meanfield import datasets, phase_diagram

sweep = {arguments!r} | dict(store=sys.argv[1], progress=False, widths=[20, 40, int(sys.argv[2])])
phase_diagram(datasets.four_points(), **sweep)
"""


class TestTwoProcesses:
    def test_on_one_store(self, serial, tmp_path):
        """Started together on overlapping grids and an empty path: each cell is kept once, unharmed."""
        code, store = TWO.format(arguments=SMALL), tmp_path / "sweep.sqlite"
        both = [
            subprocess.Popen(
                [sys.executable, "-W", "error", "-c", code, store, width], stderr=subprocess.PIPE, text=True
            )
            for width in ("80", "60")
        ]
        for process in both:
            _, complaints = process.communicate(timeout=120)
            assert process.returncode == 0, complaints
        with SweepStore.open(store) as kept:
            results = list(kept.results())
        assert len(results) == len({result.cell for result in results}) == 2 * 4 * 2
        assert numbers(sweep(store=store)) == numbers(serial)
        assert [file.name for file in tmp_path.iterdir()] == ["sweep.sqlite"]


def test_many_make_one_store_at_once(tmp_path):
    """SQLite does not wait for a file to become a database with a write-ahead log, nor between two reads."""
    with ThreadPoolExecutor(8) as pool:
        for k in range(60):
            path, together = tmp_path / f"{k}.sqlite", threading.Barrier(8)

            def make(_, path=path, together=together):
                together.wait()
                connect(path).close()

            list(pool.map(make, range(8)))
