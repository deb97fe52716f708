"""Files of options (TOML): read for ``--config``, written beside every result so that it can be run again.

A file holds the options of a command by their names without dashes in front, ``gamma = [0.5, 1.0]``. Options
on the command line take precedence. Paths in it are relative to the folder that it is in.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from meanfield.cli.values import FilePath
from meanfield.cli.verb import Option, note, option

_F = TypeVar("_F", bound=Callable[..., Any])
FROM_FILE = ParameterSource.DEFAULT_MAP
_HERE = "meanfield.file"


def config_option(function: _F) -> _F:
    """Add ``--config FILE``, read before all other options."""
    return option(
        "-c", "--config", metavar="FILE", type=FilePath(), is_eager=True, expose_value=False, callback=_read,
        file=False, section="options from a file",
        help="read options from a TOML file, such as one that lies beside a result",
    )(function)  # fmt: skip


def file_of(ctx: click.Context) -> Path | None:
    """The file that ``--config`` named."""
    file: Path | None = ctx.meta.get(_HERE)
    return file


def _read(ctx: click.Context, _: click.Parameter, file: Path | None) -> None:
    """Put what a file holds in the place of the defaults."""
    if file is None or ctx.resilient_parsing:
        return
    import tomllib

    try:
        given = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise click.UsageError(
            f"--config is {str(file)!r}, which cannot be read ({error.strerror}); give a TOML file",
            ctx,
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{file} is no TOML file ({error}); correct it there", ctx) from None
    ctx.meta[_HERE] = file
    ctx.default_map = _checked(ctx, file, given)


def _checked(ctx: click.Context, file: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Values by the names of parameters; keys that no command knows are refused."""
    from meanfield.arguments import did_you_mean
    from meanfield.cli.app import all_keys

    own = {opt.key: opt for opt in ctx.command.params if isinstance(opt, Option) and opt.file}
    values: dict[str, Any] = {}
    for key, value in given.items():
        opt = own.get(key.replace("_", "-"))
        if opt is not None:
            values[opt.name or ""] = _value(opt, ctx, file, value)
        elif others := all_keys().get(key.replace("_", "-")):
            note(f"{key} in {file} is left out: an option of {', '.join(others)}, not of {ctx.info_name}")
        else:
            raise click.UsageError(
                f"{key} in {file} is no option of {ctx.info_name}"
                + (did_you_mean(key, own) or "; options are written as in --help, without dashes in front"),
                ctx,
            )
    return values


def _value(opt: Option, ctx: click.Context, file: Path, value: Any) -> Any:
    if isinstance(opt.type, FilePath):
        return file.parent / opt.type.convert(value, opt, ctx)
    if opt.is_flag and not isinstance(value, bool):
        raise click.UsageError(f"{opt.key} in {file} is {value!r}; give true or false", ctx)
    if isinstance(value, dict):
        raise click.UsageError(f"{opt.key} in {file} is a table; give a value", ctx)
    return value


def write_config(path: Path, **decided: Any) -> Path:
    """Write the options of the command that runs, so that the same can be run again.

    Parameters
    ----------
    path : Path
        The file; paths are written relative to its folder.
    **decided
        Options, by their names, whose values were decided by the command (a preset, a default folder); None
        leaves one out.

    Returns
    -------
    Path
        The file.
    """
    import tomlkit

    import meanfield

    ctx = click.get_current_context()
    document = tomlkit.document()
    words = [
        ctx.params.get(param.name or "") for param in ctx.command.params if isinstance(param, click.Argument)
    ]
    again = " ".join([ctx.command_path, *(str(word) for word in words if word is not None)])
    document.add(tomlkit.comment(f"Written by meanfield {meanfield.__version__}. To run it again:"))
    document.add(tomlkit.comment(f"  {again} --config {path.name}"))
    for opt in ctx.command.params:
        if not isinstance(opt, Option) or not opt.file:
            continue
        value = decided[opt.name] if opt.name in decided else ctx.params.get(opt.name or "")
        if value is not None and not (value is False and not opt.secondary_opts):
            document.add(opt.key, _as_toml(value, path.parent))
    path.write_text(tomlkit.dumps(document), encoding="utf-8")
    return path


def _as_toml(value: Any, folder: Path) -> Any:
    if isinstance(value, Path):
        try:
            return Path(os.path.relpath(value, folder)).as_posix()
        except ValueError:  # on another drive
            return str(value.resolve())
    if isinstance(value, list | tuple):
        return [_as_toml(entry, folder) for entry in value]
    return value
