"""The compiler's cache: full, damaged, absent. It may cost time, and a line, but never a run."""

import logging
import os
import subprocess
import sys

import pytest
from numba.core import caching

from meanfield.kernels import code_cache, jit

pytestmark = pytest.mark.compiled
SAID = "every process compiles them again, in about a minute: make room there, or set NUMBA_CACHE_DIR"
#: A kernel in a process of its own, where a warning would be an error, and files end at 100 bytes.
FULL = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
import meanfield.kernels.jit as jit
def twice(x):
    return 2.0 * x
print(jit.kernel(twice)(3.0))
"""


def twice(x):
    return 2.0 * x


@pytest.fixture(autouse=True)
def heard(monkeypatch):
    """Libraries that configure logging when they are imported, in tests before, may switch loggers off."""
    monkeypatch.setattr(logging.getLogger("meanfield"), "disabled", False)


@pytest.fixture
def process(tmp_path, monkeypatch, caplog):
    """A kernel of one line as a new process finds it: its value, what was loaded, what was said."""

    def run(folder=tmp_path):
        monkeypatch.setattr(jit.numba.config, "CACHE_DIR", str(folder))
        monkeypatch.setattr(code_cache, "_said", [])
        code_cache.find_folder.cache_clear()
        caplog.clear()
        kernel = jit.kernel(twice)
        value = kernel(3.0)
        said = [record.message for record in caplog.records if record.levelno == logging.WARNING]
        return value, sum(kernel.stats.cache_hits.values()), said

    yield run
    monkeypatch.undo()
    code_cache.find_folder.cache_clear()


class TestCache:
    def test_second_process_loads(self, process):
        assert process() == (6.0, 0, [])
        assert process() == (6.0, 1, [])

    @pytest.mark.skipif(sys.platform == "win32", reason="a limit on files stands in for a full disk")
    def test_full_disk(self, tmp_path):
        """It ended with OSError, and with EOFError in the next process."""
        script = tmp_path / "script.py"  # Numba caches functions of files only
        script.write_text(FULL)
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-W", "error", script],
            capture_output=True,
            text=True,
            env=environment,
            check=True,
        )
        assert done.stdout == "6.0\n"
        assert done.stderr.count("\n") == 1
        assert done.stderr.startswith("compiled kernels cannot be kept in ")
        assert SAID in done.stderr

    def test_full_disk_is_said_once_and_later_processes_go_on(self, process, monkeypatch):
        def full(*args):
            raise OSError(28, "No space left on device")

        file = caching.IndexDataCacheFile
        with monkeypatch.context() as patch:
            patch.setattr(file, "_open_for_write", full)
            for _ in range(2):
                value, loaded, (said,) = process()
                assert (value, loaded) == (6.0, 0)
                assert "No space left on device" in said
        assert process() == (6.0, 0, [])
        assert process() == (6.0, 1, [])

    @pytest.mark.parametrize("ending", [".nbi", ".nbc"])
    @pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "folder"])
    def test_damaged_file_is_replaced(self, process, tmp_path, ending, damage):
        """It ended with the unpickler's error, in every later process."""
        process()
        (file,) = tmp_path.rglob(f"*{ending}")
        content, middle = file.read_bytes(), file.stat().st_size // 2
        file.unlink()
        if damage == "folder":
            file.mkdir()
        elif damage == "flipped":
            flipped = bytes([content[middle] ^ 255])
            file.write_bytes(content[:middle] + flipped + content[middle + 1 :])
        else:
            file.write_bytes(b"" if damage == "empty" else content[:middle])
        value, loaded, said = process()
        assert (value, loaded) == (6.0, 0)
        # A folder in the place of the code is no file; in an index another byte may stand for another key.
        assert len(said) == 1 or damage in ("folder", "flipped")
        if damage != "folder":
            assert process() == (6.0, 1, [])

    def test_no_folder_is_said_once(self, process, tmp_path):
        """Every process compiled for a minute, in silence."""
        (tmp_path / "file").write_text("")
        value, loaded, (said,) = process(tmp_path / "file")
        assert (value, loaded) == (6.0, 0)
        assert said.startswith("compiled kernels are not kept (")
        assert SAID in said

    def test_a_folder_in_which_no_file_can_be_made(self, process, monkeypatch):
        def none(self):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(caching._CacheLocator, "ensure_cache_path", none)
        value, loaded, (said,) = process()
        assert (value, loaded) == (6.0, 0)
        assert said.startswith("compiled kernels are not kept (no file can be made in ")

    def test_no_home(self, monkeypatch):
        def none():
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.setattr(code_cache, "_base", none)
        assert code_cache.find_folder.__wrapped__() == (None, "Could not determine home directory.")

    def test_workers_leave_it_to_their_parent(self, monkeypatch, caplog):
        monkeypatch.setattr(code_cache, "_said", [])
        monkeypatch.setattr(code_cache.multiprocessing, "parent_process", lambda: object())
        code_cache.say_once("a line")
        code_cache.say_once("another one")
        assert [(record.levelno, record.message) for record in caplog.records] == [(logging.INFO, "a line")]

    def test_versions_of_numba_do_not_share_machine_code(self, tmp_path, monkeypatch):
        """Each would take the other's files for stale, and write over them."""
        monkeypatch.setattr(code_cache.numba.config, "CACHE_DIR", str(tmp_path))
        here = code_cache.find_folder.__wrapped__()
        assert here == code_cache.find_folder.__wrapped__()
        monkeypatch.setattr(code_cache.numba, "__version__", "0.0.1")
        assert code_cache.find_folder.__wrapped__() != here
        assert len(list((tmp_path / "meanfield").iterdir())) == 2

    def test_kernels_without_compiler(self, monkeypatch):
        monkeypatch.setattr(jit.numba.config, "DISABLE_JIT", True)

        def twice(x):
            return 2.0 * x

        assert jit.kernel(twice)(3.0) == 6.0
