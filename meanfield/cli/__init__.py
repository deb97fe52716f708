"""Floor 5: the command line. Every verb is a thin layer over a library call."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

#: Exit codes: success, a run that was cut off, input that cannot be used, Ctrl-C; see `meanfield --help`.
OK, CUT_OFF, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
_COMPLETE = "_MEANFIELD_COMPLETE"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; by default those of the process.

    Returns
    -------
    int
        0 success, 1 a run neither converged nor came to rest, 2 bad input, 130 interrupted.

    Examples
    --------
    >>> main(["regime", "mean-field", "--json"])  # doctest: +ELLIPSIS
    {
      "gamma": 1.0,
    ...
    0
    """
    import click

    from meanfield.cli.app import cli
    from meanfield.cli.verb import sentence
    from meanfield.errors import InputError, MissingExtraError, WorkerLostError

    if instruction := os.environ.get(_COMPLETE):
        from click.shell_completion import shell_complete

        return shell_complete(cli, {}, "meanfield", _COMPLETE, instruction)
    given = list(sys.argv[1:] if argv is None else argv)
    ctx: click.Context | None = None
    try:
        with cli.make_context("meanfield", given) as ctx:
            code = int(cli.invoke(ctx))
        sys.stdout.flush()
        return code
    except click.exceptions.Exit as end:  # --help, --version
        return end.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return BAD_INPUT
    except (click.ClickException, InputError, MissingExtraError) as error:
        if ctx is not None and ctx.meta.get("meanfield.verbose"):
            traceback.print_exc()
        where = getattr(error, "ctx", None) or (ctx and ctx.meta.get("meanfield.verb"))
        print(f"meanfield: error: {sentence(error, where)}", file=sys.stderr)
        return BAD_INPUT
    except WorkerLostError as error:
        print(f"meanfield: {sentence(error, ctx and ctx.meta.get('meanfield.verb'))}", file=sys.stderr)
        return CUT_OFF
    except KeyboardInterrupt as interrupt:
        said = sentence(interrupt, ctx and ctx.meta.get("meanfield.verb")) or "interrupted"
        print(f"\nmeanfield: {said}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
