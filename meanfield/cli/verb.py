"""What verbs are made of: options in sections, a page of help, files of options, renamed options.

A verb is a function with typed arguments in a module of its name in ``meanfield.cli.verbs``; adding one is
adding that file. Modules of verbs import what they compute with inside the function, so that help is quick.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar, cast

import click

_F = TypeVar("_F", bound=Callable[..., Any])

EXIT_CODES = (
    ("0", "success"),
    ("1", "a run neither converged nor came to rest, a zero was not settled, a check of the doctor failed, "
          "or a worker process died"),
    ("2", "bad input; one sentence on standard error says what to do"),
    ("130", "interrupted by Ctrl-C; what was finished is kept"),
    ("143", "ended by SIGTERM; what was finished is kept"),
)  # fmt: skip

DATA_FILES = (
    ("CSV, text", "one sample per row, the last column is the target; a first line of text is a header. "
                  "--columns chooses columns by name (by number if there is no header), the target last"),
    ("NPZ", "arrays x, shape (n, d), and y, shape (n,)"),
    ("IDX", "images in MNIST's format; give the file of labels with --labels"),
)  # fmt: skip


class Option(click.Option):
    """An option in a section of the help.

    Parameters
    ----------
    *declarations : str
        How it is written, such as ``--width``.
    section : str, default "options"
        Title of the section.
    formerly : mapping, optional
        Old words for it, and what they are today: they work, and a note says so.
    called : str, default ""
        Its name in Python where that is another one, for messages of the library.
    file : bool, default True
        Whether files of options hold it.
    **attributes
        Of :class:`click.Option`.
    """

    def __init__(
        self,
        *declarations: Any,
        section: str = "options",
        formerly: Mapping[str, str] | None = None,
        called: str = "",
        file: bool = True,
        **attributes: Any,
    ) -> None:
        super().__init__(*declarations, **attributes)
        self.section, self.formerly, self.file = section, dict(formerly or {}), file
        self.called = called or self.name or ""
        self.needs_no_value = not self.is_flag and attributes.get("flag_value") is not None

    @property
    def flag(self) -> str:
        """The option as it is written: its longest name."""
        return max(self.opts, key=len) if len(self.opts) < 3 else self.opts[1]

    @property
    def key(self) -> str:
        """Its name in a file of options."""
        return self.flag.lstrip("-")


class Verb(click.Command):
    """A verb: a function that returns the exit code, with its options and its page of help."""

    def __init__(self, *of: Any, data_files: bool = False, **attributes: Any) -> None:
        super().__init__(*of, **attributes)
        self.data_files = data_files

    @property
    def options(self) -> list[Option]:
        """The options of this package, without ``--help``."""
        return [param for param in self.params if isinstance(param, Option)]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse words, after old ones were replaced by those of today; others are refused."""
        ctx.allow_extra_args = True
        try:
            super().parse_args(ctx, self._as_today(args))
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise
        if ctx.args and not ctx.resilient_parsing:
            raise click.UsageError(self._left_over(ctx.args), ctx)
        return ctx.args

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb, after its options were shown where that is asked for."""
        ctx.meta["meanfield.verb"] = ctx
        if ctx.params.get("verbose"):
            for option in self.options:
                value = ctx.params.get(option.name or "")
                if value is not None and value is not False:
                    text = ",".join(map(str, value)) if isinstance(value, tuple) else value
                    print(f"meanfield: {option.flag}{'' if value is True else f' {text}'}", file=sys.stderr)
        return super().invoke(ctx)

    def _as_today(self, args: Sequence[str]) -> list[str]:
        formerly = {old: new for option in self.options for old, new in option.formerly.items()}
        optional = {flag for option in self.options if option.needs_no_value for flag in option.opts}
        words: list[str] = []
        for word in args:
            flag, equals, value = word.partition("=")
            if flag in formerly:
                note(f"{flag} is called {formerly[flag]} now; the old name will go in a later version")
                word = formerly[flag] + equals + value
            if words and words[-1] in optional and re.match(r"-[.\d]", word):
                word = f" {word}"  # which click takes for a value, not for an option
            words.append(word)
        return words

    def _left_over(self, words: Sequence[str]) -> str:
        data = next((word for word in words if os.path.isfile(word)), None)
        takes_data = any(option.name == "data" for option in self.options)
        hint = f"give your data as --data {data}" if data and takes_data else "--help lists all"
        return f"{words[0]!r} is no argument of this command; {hint}"

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options by their sections, in the order in which they come."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(param, "section", "help"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what files of data hold and what exit codes mean."""
        if self.data_files:
            with formatter.section("data files"):
                formatter.write_dl(DATA_FILES)
        write_exit_codes(formatter)


class Group(click.Group):
    """A command of commands."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is meant, or say which one may be."""
        command = self.get_command(ctx, args[0])
        if command is None and not ctx.resilient_parsing:
            from meanfield.arguments import did_you_mean

            hint = did_you_mean(args[0], self.list_commands(ctx)) or f"; {ctx.command_path} --help lists all"
            raise click.UsageError(f"there is no command {args[0]!r}{hint}", ctx)
        return (args[0] if command else None), command, args[1:]


def write_exit_codes(formatter: click.HelpFormatter) -> None:
    """Write the exit codes, which all commands share."""
    with formatter.section("exit codes"):
        formatter.write_dl(EXIT_CODES)


def verb(summary: str, *, data_files: bool = False) -> Callable[[Callable[..., int]], Verb]:
    """Make a verb of a function; its docstring is the manual.

    Parameters
    ----------
    summary : str
        One line for the list of commands.
    data_files : bool, default False
        Whether the manual explains files of data.
    """
    return cast(
        "Callable[[Callable[..., int]], Verb]",
        click.command(cls=Verb, short_help=summary, data_files=data_files),
    )


def option(*declarations: str, section: str = "options", **attributes: Any) -> Callable[[_F], _F]:
    """One option of a verb, as in ``click.option``; see :class:`Option`."""
    return click.option(*declarations, cls=Option, section=section, **attributes)


def gathered(name: str, kind: type, *options: Callable[[_F], _F]) -> Callable[[_F], _F]:
    """Options that a verb gets as one typed object: the argument ``name``, a dataclass with their names."""

    def decorate(function: _F) -> _F:
        @functools.wraps(function)
        def call(**values: Any) -> Any:
            own = {field.name: values.pop(field.name) for field in fields(kind) if field.name in values}
            return function(**{name: kind(**own)}, **values)

        decorated = cast(_F, call)
        for add in reversed(options):
            decorated = add(decorated)
        return decorated

    return decorate


def note(text: str) -> None:
    """Say something on standard error that is no error."""
    print(f"meanfield: note: {text}", file=sys.stderr)


#: What the library says of calls, and what a shell has in their place.
_PHRASES = {
    "the same call": "the same command",
    "as in gradient_flow(problem, run),": "in Python as gradient_flow(problem, meanfield.load(FILE)),",
}


def in_words_of_the_shell(message: str, command: click.Command) -> str:
    """A message of the library with the options of a command in place of Python's names.

    ``antisymmetric=False`` becomes ``--no-antisymmetric``, ``loss_tol`` becomes ``--loss-tol``, and so does a
    plain name such as ``seeds`` where the message begins with it.
    """
    options = [param for param in command.params if isinstance(param, Option)]
    for option in sorted(options, key=lambda option: -len(option.called)):
        name = re.escape(option.called)
        off = option.secondary_opts[0] if option.secondary_opts else f"no {option.flag}"
        message = re.sub(rf"(?<![\w-]){name}=True\b", option.flag, message)
        message = re.sub(rf"(?<![\w-]){name}=False\b", off, message)
        message = re.sub(rf"(?<![\w-]){name}=(?=[\w'\"])", f"{option.flag} ", message)
        message = re.sub(rf"(?<![\w-]){name}=", option.flag, message)
        if "_" in option.called:
            message = re.sub(rf"(?<![\w.-]){name}\b(?!\()", option.flag, message)
        message = re.sub(rf"^{name}(?= (is|are|holds?|must|has|needs?|counts?)\b)", option.flag, message)
    for call, words in _PHRASES.items():
        message = message.replace(call, words)
    return re.sub(r"(--[\w-]+)(, | or )\1\b", r"\1", message)


def of_this_command(message: object) -> str:
    """The same for the command that runs, or has run."""
    ctx = click.get_current_context(silent=True)
    return str(message) if ctx is None else in_words_of_the_shell(str(message), ctx.command)


def sentence(error: BaseException, ctx: click.Context | None) -> str:
    """One sentence for a mistake: what was given, what was expected, what to do."""
    from meanfield.arguments import did_you_mean

    where = (ctx.command_path if ctx else "meanfield") + " --help"
    if not isinstance(error, click.ClickException):
        return str(error) if ctx is None else in_words_of_the_shell(str(error), ctx.command)
    if isinstance(error, click.NoSuchOption) and ctx is not None:
        known = [
            flag for param in ctx.command.get_params(ctx) for flag in (*param.opts, *param.secondary_opts)
        ]
        hint = did_you_mean(error.option_name, known) or "; --help lists all"
        return f"{error.option_name!r} is no argument of this command{hint}"
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return f"{error.param.make_metavar(ctx or click.Context(click.Command('')))} is missing; see {where}"
    if isinstance(error, click.BadOptionUsage):
        return _bad_usage(error, ctx)
    if isinstance(error, click.BadParameter) and isinstance(error.param, Option) and ctx is not None:
        from meanfield.cli.config import FROM_FILE, file_of

        if ctx.get_parameter_source(error.param.name or "") is FROM_FILE:
            return f"{error.param.key} in {file_of(ctx)} {error.message}"
        return f"{error.param.flag} {error.message}"
    if isinstance(error, click.BadParameter) and isinstance(error.param, click.Argument):
        return f"{error.param.name} {error.message}" if error.message.startswith("is ") else error.message
    return error.message


def _bad_usage(error: click.BadOptionUsage, ctx: click.Context | None) -> str:
    for param in ctx.command.params if ctx else []:
        if isinstance(param, Option) and error.option_name in (*param.opts, *param.secondary_opts):
            if param.is_flag:
                return f"{error.option_name} takes no value; give it alone"
            metavar = param.metavar or param.type.name.upper()
            return f"{error.option_name} has no value; give {error.option_name} {metavar}"
    return error.message
