"""The few numbers of the paper that measurements are compared with.

Source: T. Luo, Z.-Q. J. Xu, Z. Ma, Y. Zhang, "Phase diagram for two-layer ReLU neural networks at
infinite-width limit", JMLR 22(71), 2021. Displacements, slopes and zeros were read from its figures (four
points, antisymmetric initialisation of two halves of m neurons each, trained to a mean square of 1e-6):
slopes to about 0.001, displacements to about one per cent. Each is one random draw.
"""

from __future__ import annotations

from collections.abc import Mapping

#: Widths, of one twin half, at which displacements and slopes were measured.
WIDTHS = (1000, 5000, 10000, 20000, 40000)

#: Relative displacement of the input weights at gamma' = 0, by gamma, at each of :data:`WIDTHS`.
RD_W: Mapping[float, tuple[float, ...]] = {
    0.5: (0.00883, 0.00375, 0.00274, 0.00192, 0.00136),
    1.0: (0.262, 0.270, 0.269, 0.263, 0.272),
    1.75: (7.98, 13.4, 18.4, 23.9, 31.0),
}

#: Slope S_w at gamma' = 0, by gamma.
S_W: Mapping[float, float] = {
    0.5: -0.511, 0.6: -0.411, 0.7: -0.318, 0.75: -0.215, 0.8: -0.179, 0.9: -0.088,
    1.0: 0.014, 1.1: 0.062, 1.25: 0.164, 1.4: 0.224, 1.5: 0.266, 1.75: 0.391,
}  # fmt: skip

#: The gamma at which S_w crosses zero, by gamma'.
ZEROS: Mapping[float, float] = {
    -0.4: 0.999, -0.3: 0.997, -0.2: 0.993, -0.1: 1.000, 0.0: 1.039,
    0.1: 1.134, 0.2: 1.238, 0.3: 1.334, 0.4: 1.389,
}  # fmt: skip

#: Exponents (gamma, gamma') of the common initialisations; E, Ma and Wu's at b = 1.
SCHEMES: Mapping[str, tuple[float, float]] = {
    "lecun": (0.5, 0.5), "he": (0.5, 0.5), "xavier": (1.0, 0.0),
    "ntk": (0.5, 0.0), "mean-field": (1.0, 0.0), "e-ma-wu": (1.0, 1.0),
}  # fmt: skip

#: The published runs' own scatter (one draw each): in a slope over the five widths, and, as a share, in a
#: displacement.
SLOPE_SCATTER, RD_SCATTER = 0.05, 0.10
