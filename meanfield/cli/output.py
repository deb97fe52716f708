"""Where results go and how much is said: options that several verbs share."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from meanfield.cli.values import FilePath, Formats
from meanfield.cli.verb import gathered, option
from meanfield.errors import InputError

_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True)
class FolderOptions:
    """Where results go."""

    out: Path | None

    def folder(self, name: str) -> Path:
        """The output folder, made and found writable before anything is computed; by default of that name."""
        plain = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "data"
        folder = self.out or Path("meanfield-output") / plain
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / f".writable-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise InputError(
                f"nothing can be written to the folder {folder} ({error.strerror}); "
                "give a writable one with --out"
            ) from None
        return folder


def folder_options(default: str = "meanfield-output/NAME-OF-DATA") -> Callable[[_F], _F]:
    """Add ``--out``."""
    return gathered(
        "output", FolderOptions,
        option("-o", "--out", "--output", metavar="DIR", type=FilePath(folder=True), section="output",
               help=f"folder for what is written (default: {default})"),
    )  # fmt: skip


formats_option = option(
    "--formats", metavar="LIST", type=Formats(), default="png,pdf,svg", section="output",
    help="file formats of figures (default: png,pdf,svg)",
)  # fmt: skip

json_option = option(
    "--json", "as_json", is_flag=True, section="output", file=False,
    help="print JSON on standard output, for scripts",
)  # fmt: skip


@dataclass(frozen=True)
class TalkOptions:
    """How much is said on standard error."""

    quiet: bool
    verbose: bool
    progress: bool | None = None

    @property
    def bar(self) -> bool | None:
        """Whether progress is shown; None where a terminal decides."""
        return False if self.quiet else self.progress or (True if self.verbose else None)


def talk_options(*, progress: bool = False) -> Callable[[_F], _F]:
    """Add ``--quiet`` and ``--verbose``, and ``--progress`` for sweeps."""
    bar = [
        option("--progress", is_flag=True, default=None, section="messages", file=False,
               help="show progress in log files, too"),
    ]  # fmt: skip
    return gathered(
        "talk", TalkOptions,
        option("-q", "--quiet", is_flag=True, section="messages", file=False,
               help="no progress; notes and errors only"),
        option("-v", "--verbose", is_flag=True, section="messages", file=False, callback=_talk,
               help="say what is done, with all options; show progress in log files, too, and where in the "
                    "code an error arose"),
        *(bar if progress else []),
    )  # fmt: skip


def _talk(ctx: click.Context, _: click.Parameter, verbose: bool) -> bool:
    """Let the package's logger speak, and remember that errors show where they arose."""
    if verbose and not ctx.resilient_parsing:
        ctx.meta["meanfield.verbose"] = True
        logger = logging.getLogger("meanfield")
        level, handler = logger.level, logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("meanfield: %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
        ctx.call_on_close(lambda: logger.removeHandler(handler))
        ctx.call_on_close(lambda: logger.setLevel(level))
    return verbose


def save_picture(
    draw: Callable[..., Any], *results: Any, path: Path, formats: str | tuple[str, ...]
) -> list[Path]:
    """Draw results by a function of :mod:`meanfield.plotting`, off screen; return the files."""
    from meanfield import plotting
    from meanfield.plotting.windows import offscreen

    with offscreen():
        picture = draw(*results)
    return plotting.save(picture, path, formats=formats)
