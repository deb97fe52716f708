"""``meanfield completion``."""

from __future__ import annotations

import click

from meanfield.cli.values import OneOf
from meanfield.cli.verb import verb


@verb("print what makes a shell complete commands and options")
@click.argument("shell", metavar="bash|zsh|fish", type=OneOf(("bash", "zsh", "fish")))
def completion(shell: str) -> int:
    """Print what makes a shell complete commands, options, names and files.

    Put a line into the file that your shell reads when it starts:

    \b
      eval "$(meanfield completion bash)"        # ~/.bashrc
      eval "$(meanfield completion zsh)"         # ~/.zshrc, after compinit
      meanfield completion fish | source         # ~/.config/fish/config.fish
    """
    from click.shell_completion import get_completion_class

    from meanfield.cli.app import cli

    kind = get_completion_class(shell)
    assert kind is not None  # click knows these three
    print(kind(cli, {}, "meanfield", "_MEANFIELD_COMPLETE").source())
    return 0
