"""Files with changed, lost and repeated bytes: read right, or refused in one sentence, and no more.

No pickle is loaded, no other file is opened for writing, and no more memory is taken than the file accounts
for. The long runs are ``pytest -m slow tests/test_fuzz.py``.
"""

import builtins
import contextlib
import gzip
import os
import random
import sqlite3
import struct
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest

import meanfield as mf
from meanfield import datasets
from meanfield.errors import InputError

FOUR = mf.datasets.four_points()
#: Mutations of each kind of file, by default and at length.
FEW, MANY = 150, 20_000
#: Memory that refusing a small file may take at most.
MEMORY = 20_000_000


def table(folder):
    path = folder / "table.csv"
    path.write_text("# x1, x2, y\n" + "".join(f"{i / 7!r},{1 - i},{i * i}\n" for i in range(9)))
    return path, datasets.load


def npz(folder, save=np.savez):
    path = folder / "arrays.npz"
    save(path, x=np.arange(12.0).reshape(6, 2), y=np.arange(6, dtype=np.int16))
    return path, datasets.load


def packed_npz(folder):
    return npz(folder, np.savez_compressed)


def idx(folder, pack=lambda data: data):
    images = bytes([0, 0, 8, 3]) + struct.pack(">3I", 8, 2, 2) + bytes(range(32))
    labels = bytes([0, 0, 8, 1]) + struct.pack(">I", 8) + bytes([0, 1] * 4)
    path = folder / "images"
    path.write_bytes(pack(images))
    (folder / "labels").write_bytes(pack(labels))
    return path, lambda path: datasets.load(path, targets=folder / "labels")


def packed_idx(folder):
    return idx(folder, lambda data: gzip.compress(data, mtime=0))


def run_file(folder):
    network = mf.Particles.sample(FOUR, mf.Scaling(0.5), 6, rng=0)
    run = mf.gradient_flow(FOUR, network, loss_atol=1e-3, save_parameters=True, progress=False)
    return run.save(folder / "run.npz"), mf.Trajectory.load


def limit_file(folder):
    limit = mf.infinite_width(FOUR, mf.Scaling(1.0), width=100, tol=0.1, loss_atol=1e-3, nodes=16)
    return limit.save(folder / "limit.npz"), mf.InfiniteWidth.load


def store(folder):
    path = folder / "sweep.sqlite"

    def load(path):
        return mf.phase_diagram(
            FOUR, gamma=[0.5], gamma_prime=[0.0], widths=[4, 8], loss_atol=5e-3, store=path, progress=False
        )

    load(path)
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
    database.close()
    return path, load


KINDS = [table, npz, packed_npz, idx, packed_idx, run_file, limit_file, store]


def mutated(good, rng):
    """A copy of some bytes with a few changed, inserted, removed, exchanged or cut off."""
    data = bytearray(good)
    for _ in range(rng.choice([1, 1, 1, 2, 4, 16])):
        at = rng.randrange(len(data)) if data else 0
        match rng.randrange(7):
            case 0 if data:
                data[at] ^= 1 << rng.randrange(8)
            case 1 if data:
                data[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
            case 2:
                data[at:at] = rng.randbytes(rng.randrange(1, 9))
            case 3:
                del data[at : at + rng.randrange(1, 9)]
            case 4 if len(data) > 8:  # a number: length, count, size or offset
                value = rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, len(data)])
                struct.pack_into(rng.choice("<>") + "I", data, min(at, len(data) - 4), value)
            case 5:
                data[at:at] = data[at : at + rng.randrange(1, 200)]
            case 6 if rng.random() < 0.3:
                del data[at:]
    return bytes(data)


@contextlib.contextmanager
def watched(folder):
    """Fails if anything is unpickled, or opened for writing outside the folder."""
    events, watching = [], [True]

    def hook(event, arguments):
        if not watching[0]:
            return
        if event == "pickle.find_class":
            events.append((event, arguments))
        elif event == "open" and isinstance(arguments[0], str | bytes):
            mode, flags = arguments[1], arguments[2]
            for_writing = set(mode) & set("wax+") if mode else flags & (os.O_WRONLY | os.O_RDWR)
            if for_writing and not os.fsdecode(arguments[0]).startswith(str(folder)):
                events.append((event, arguments))

    sys.addaudithook(hook)  # stays for the life of the process: switched off at the end
    try:
        yield
    finally:
        watching[0] = False
    assert not events


def fuzz(make, folder, count, seed):
    path, load = make(folder)
    good, rng, accepted = path.read_bytes(), random.Random(seed), 0
    path.unlink()
    sentences = []
    with watched(folder):
        for number in range(count):
            bad = path.with_name(f"{number % 7}-{path.name}")
            bad.write_bytes(mutated(good, rng))
            try:
                load(bad)
                accepted += 1
            except InputError as error:
                sentences.append(str(error))
            for extra in folder.glob(f"{bad.name}*"):  # a database may have a log
                extra.unlink()
    assert not [sentence for sentence in sentences if "\n" in sentence or len(sentence) < 20]
    return accepted


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_mutated_files(make, tmp_path):
    count = FEW // 3 if make is store else FEW
    make(tmp_path)  # what this compiles is not on the account
    tracemalloc.start()
    try:
        accepted = fuzz(make, tmp_path, count, seed=0)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
    assert accepted < count


@pytest.mark.slow
@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_mutated_files_at_length(make, tmp_path):
    fuzz(make, tmp_path, MANY // 40 if make is store else MANY, seed=1)


class TestRunFiles:
    """Saved runs have the safeguards of data files."""

    def rewritten(self, folder, *, compression=zipfile.ZIP_STORED, **members):
        path, _ = run_file(folder)
        with zipfile.ZipFile(path) as archive:
            kept = {name: archive.read(name) for name in archive.namelist()}
        kept |= {f"{name}.npy": content for name, content in members.items()}
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, content in kept.items():
                archive.writestr(name, content)
        return path

    def header(self, shape, descr="'<f8'"):
        text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()

    def refused(self, path):
        tracemalloc.start()
        try:
            with pytest.raises(InputError, match="does not hold a saved run, or is damaged") as caught:
                mf.Trajectory.load(path)
            assert tracemalloc.get_traced_memory()[1] < MEMORY
            return str(caught.value)
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize("shape", ["(1000000000000,)", "(4294967296, 4294967296)"])
    def test_claims_are_refused_before_memory_is_taken(self, tmp_path, shape):
        assert "claims shape" in self.refused(self.rewritten(tmp_path, time=self.header(shape) + bytes(80)))

    def test_bombs_are_refused_before_memory_is_taken(self, tmp_path, monkeypatch):
        monkeypatch.setattr("meanfield.archives.LARGEST", 10_000_000)
        bomb = self.header("(50000000,)", "'|u1'") + bytes(50_000_000)
        path = self.rewritten(tmp_path, compression=zipfile.ZIP_DEFLATED, time=bomb)
        assert path.stat().st_size < 100_000
        assert "more than the 10000000 accepted" in self.refused(path)

    def test_bytes_become_doubles(self, tmp_path, monkeypatch):
        """A file of some hundred kilobytes once took gigabytes: its bytes were counted, not its numbers."""
        monkeypatch.setattr("meanfield.archives.UNPACKED", 10_000_000)
        path = tmp_path / "bomb.npz"
        np.savez_compressed(path, x=np.zeros((4_000_000, 1), np.uint8), y=np.zeros(4_000_000, np.uint8))
        assert path.stat().st_size < 100_000
        tracemalloc.start()
        try:
            with pytest.raises(InputError, match=r"4000000 numbers in a file of .* without compression"):
                datasets.load(path)
            assert tracemalloc.get_traced_memory()[1] < MEMORY
        finally:
            tracemalloc.stop()

    def test_nothing_is_unpickled(self, tmp_path):
        fired = tmp_path / "fired"

        class Bomb:
            def __reduce__(self):
                return (builtins.open, (str(fired), "w"))

        np.savez(tmp_path / "bomb.npz", meta=np.array([Bomb()], dtype=object))
        assert "is of type" in self.refused(tmp_path / "bomb.npz")
        assert not fired.exists()

    @pytest.mark.parametrize("name", ["time", "loss", "output", "saved_a", "saved_w", "a1", "w1"])
    def test_shapes_have_to_fit(self, tmp_path, name):
        content = self.header("(2,)") + np.ones(2).tobytes()
        self.refused(self.rewritten(tmp_path, **{name: content}))

    def test_members_outside_the_folder_are_not_written(self, tmp_path):
        inside = tmp_path / "deep" / "inside"
        inside.mkdir(parents=True)
        path = self.rewritten(inside, **{"../../escape": self.header("(1,)") + bytes(8)})
        mf.Trajectory.load(path)
        assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["run.npz"]
