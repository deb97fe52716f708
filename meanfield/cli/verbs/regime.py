"""``meanfield regime``."""

from __future__ import annotations

import click

from meanfield.cli.options import SCHEME, SCHEMES_TEXT, ScalingOptions, antisymmetric_option, scaling_options
from meanfield.cli.output import json_option
from meanfield.cli.values import Number
from meanfield.cli.verb import option, verb


@verb("classify an initialisation")
@click.argument("scheme", required=False, type=SCHEME)
@scaling_options
@option(
    "-w",
    "--width",
    metavar="M",
    type=Number(),
    section="network",
    help="print kappa and kappa' at this width, too",
)
@option(
    "--dim",
    metavar="D",
    type=Number(),
    default=2.0,
    section="network",
    help="input dimension d, bias included (default: 2)",
)
@antisymmetric_option("network")
@json_option
def regime(
    scheme: str | None,
    scaling: ScalingOptions,
    width: float | None,
    dim: float,
    antisymmetric: bool,
    as_json: bool,
) -> int:
    """Classify an initialisation.

    It is f(x) = (1/alpha) sum_k a_k relu(w_k . x) with a ~ N(0, beta1^2) and w ~ N(0, beta2^2). It is given
    by the name of a scheme, by its laws in the width m (and the input dimension d), or by its exponents.
    """
    from meanfield.cli import report
    from meanfield.cli.tables import show

    given = scaling.scaling(scheme)
    place = given.classify(antisymmetric=antisymmetric)
    scales = None if width is None else (given.kappa(width, dim), given.kappa_prime(width, dim))
    show(
        report.place_as_json(given, place, scales) if as_json else report.place_as_text(given, place, scales)
    )
    return 0


regime.help = f"""{regime.help}

SCHEME is one of {SCHEMES_TEXT}.

\b
  meanfield regime xavier
  meanfield regime --alpha 'sqrt(m)' --beta1 1 --beta2 1
  meanfield regime --gamma 1.75 --gamma-prime 0
"""
