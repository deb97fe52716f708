"""Where a cell was computed: host, system and versions, for the store and for the methods section."""

from __future__ import annotations

import functools
import importlib.metadata
import json
import platform
import socket
from dataclasses import asdict, dataclass

from meanfield.experiments.cells import CellResult

#: Distributions whose code decides a result.
LIBRARIES = ("meanfield-nn", "numpy", "numba", "scipy")


@dataclass(frozen=True)
class Origin:
    """A machine and its software.

    Attributes
    ----------
    host, system, python : str
        Name of the machine, its operating system and processor, version of Python.
    versions : tuple of (str, str)
        Version of each of :data:`LIBRARIES`.
    """

    host: str
    system: str
    python: str
    versions: tuple[tuple[str, str], ...]

    def as_json(self) -> str:
        """One line of JSON: equal origins give equal text."""
        return json.dumps({**asdict(self), "versions": dict(self.versions)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Origin:
        """What :meth:`as_json` wrote.

        Parameters
        ----------
        text : str
            As it stands in a store.

        Returns
        -------
        Origin
        """
        data = json.loads(text)
        return cls(data["host"], data["system"], data["python"], tuple(sorted(data["versions"].items())))

    @property
    def package(self) -> str:
        """Version of this package."""
        return dict(self.versions)["meanfield-nn"]

    @property
    def software(self) -> str:
        """Versions as a sentence names them."""
        return ", ".join(f"{name} {version}" for name, version in self.versions) + f", Python {self.python}"


@dataclass(frozen=True)
class Outcome:
    """A finished cell and where it was computed."""

    result: CellResult
    origin: Origin


@functools.cache
def here() -> Origin:
    """This process."""
    return Origin(
        host=socket.gethostname(),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        versions=tuple(sorted((name, _version(name)) for name in LIBRARIES)),
    )


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # run from sources that were never installed
        return "unknown"
