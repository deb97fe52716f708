"""Floor 5: the command line. Every verb is a thin layer over a library call."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence

from meanfield.errors import InputError, MissingExtraError, WorkerLostError

#: Exit codes: success, a run that was cut off, input that cannot be used, Ctrl-C; see `meanfield --help`.
OK, CUT_OFF, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


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
    """
    from meanfield.cli.parser import build_parser

    given = _join_negative_lists(sys.argv[1:] if argv is None else argv)
    parser = build_parser()
    if not given:
        parser.print_help(sys.stderr)
        return BAD_INPUT
    arguments, rest = parser.parse_known_args(given)
    if rest:
        data = next((word for word in rest if os.path.isfile(word)), None)
        hint = f"; give your data as --data {data}" if data else "; --help lists all"
        print(f"meanfield: error: {rest[0]!r} is no argument of this command{hint}", file=sys.stderr)
        return BAD_INPUT
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except (InputError, MissingExtraError) as error:
        print(f"meanfield: error: {error}", file=sys.stderr)
        return BAD_INPUT
    except WorkerLostError as error:
        print(f"meanfield: {error}", file=sys.stderr)
        return CUT_OFF
    except KeyboardInterrupt as interrupt:
        print(f"\nmeanfield: {str(interrupt) or 'interrupted'}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def _join_negative_lists(argv: Sequence[str]) -> list[str]:
    """Turn ``--gamma-prime -0.4,0`` into one argument: argparse takes the list for an option."""
    joined: list[str] = []
    for argument in argv:
        if joined and re.fullmatch(r"--[a-z0-9-]+", joined[-1]) and re.match(r"-[.\d]", argument):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined
