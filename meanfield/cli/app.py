"""The command line as a whole: every module of ``meanfield.cli.verbs`` is a verb."""

from __future__ import annotations

import functools
import importlib
import pkgutil

import click

import meanfield
from meanfield.cli import verbs
from meanfield.cli.verb import Group, Verb, write_exit_codes


class App(Group):
    """Commands found by walking a folder: module ``phase_diagram`` holds the command ``phase-diagram``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands."""
        return [module.name.replace("_", "-") for module in pkgutil.iter_modules(verbs.__path__)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, whose module is imported now."""
        if cmd_name not in self.list_commands(ctx):
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(importlib.import_module(f"{verbs.__name__}.{name}"), name)
        return command

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what exit codes mean."""
        write_exit_codes(formatter)


@functools.cache
def all_keys() -> dict[str, list[str]]:
    """Names of options in files of options, with the commands that know them."""
    ctx = click.Context(cli)
    keys: dict[str, list[str]] = {}
    for name in cli.list_commands(ctx):
        command = cli.get_command(ctx, name)
        if isinstance(command, Verb):
            for option in command.options:
                if option.file:
                    keys.setdefault(option.key, []).append(name)
    return keys


@click.group(
    cls=App,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(
    meanfield.__version__, "-V", "--version", prog_name="meanfield", message="%(prog)s %(version)s",
    help="Show the version.",
)  # fmt: skip
def cli() -> None:
    """Find out at which initialisations a two-layer ReLU network trains like a kernel machine, and where its
    neurons condense.

    meanfield trains networks by gradient flow, without a learning rate, and draws the phase diagram of Luo,
    Xu, Ma and Zhang (JMLR 2021) with the theory on top of it.

    meanfield COMMAND --help is the manual of a command.
    """
