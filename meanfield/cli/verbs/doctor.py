"""``meanfield doctor``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from meanfield.cli.output import json_option
from meanfield.cli.tables import Page, Table, exit_code, show
from meanfield.cli.verb import option, verb

if TYPE_CHECKING:
    from meanfield.diagnosis import Diagnosis


@verb("print what a report of a bug needs, and check the kernels")
@option(
    "--check/--no-check",
    default=True,
    help="compare the kernels with closed forms: two seconds, a minute if they have to be compiled "
    "(default: do it)",
)
@json_option
def doctor(check: bool, as_json: bool) -> int:
    """Print what a report of a bug needs.

    These are versions, the folder of compiled kernels and whether it works, processors, memory, BLAS,
    optional packages, and a check of the kernels against closed forms. Paste it into your report.
    """
    from meanfield.diagnosis import diagnose

    if check and sys.stderr.isatty():
        print("checking kernels; this takes a minute if they have to be compiled", file=sys.stderr)
    found = diagnose(check=check)
    show(_as_json(found) if as_json else _as_text(found))
    return exit_code([found.well])


def _as_json(found: Diagnosis) -> dict[str, Any]:
    from dataclasses import asdict

    checks = [asdict(check) | {"passed": check.passed} for check in found.checks]
    return {**asdict(found), "checks": checks, "well": found.well}


def _as_text(found: Diagnosis) -> Page:
    from meanfield.resources import gigabytes

    cache = found.cache
    files = f"{cache['files']} files, {gigabytes(cache['size'])}"
    missing = ", ".join(name for name, version in found.optional.items() if version is None)
    page: Page = [
        f"python      {found.python}, {found.system}",
        *_list("packages", [f"{name} {version or 'missing'}" for name, version in found.packages.items()]),
        *_list("optional", [f"{name} {version}" for name, version in found.optional.items() if version]),
        *([f"not there   {missing}"] if missing else []),
        f"processors  {found.processors['usable']} usable of {found.processors['machine']}; "
        f"{found.processors['threads']} threads in kernels",
        f"memory      {gigabytes(found.memory['limit'])} for sweeps, of {gigabytes(found.memory['machine'])} "
        "in the machine",
        f"kernels     {cache['folder'] or 'no folder'}",
        f"            {'works' if cache['works'] else 'DOES NOT WORK: ' + cache['why']} ({files})",
    ]
    for info in found.blas:
        page.append(f"threads of  {info['internal_api']} {info['version'] or ''}: {info['num_threads']}")
    page += [f"variable    {name}={value}" for name, value in found.environment.items()]
    if found.checks:
        rows = [
            (check.name, f"{check.error:.1e}", f"{check.allowed:.0e}", f"{check.seconds:.2f} s",
             f"{check.compiled:.1f} s", "yes" if check.passed else "NO")
            for check in found.checks
        ]  # fmt: skip
        page += [
            "",
            Table(
                ("check", "error", "allowed", "time", "compiled in", "passed"),
                rows,
                words=("passed",),
                prose=("check",),
            ),
        ]
    return page


def _list(title: str, entries: list[str]) -> list[str]:
    """Entries in lines of at most 80 columns, with a title in front."""
    import textwrap

    text = ", ".join(entry.replace(" ", "\0") for entry in entries)
    lines = textwrap.wrap(text, 80, initial_indent=f"{title:<12}", subsequent_indent=" " * 12)
    return [line.replace("\0", " ") for line in lines]
