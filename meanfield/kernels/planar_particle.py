"""Exact motion of one particle under a constant residual for samples that span a plane.

The mathematics is that of :mod:`meanfield.kernels.particle`. In the plane it is a walk over the sectors of
a :class:`~meanfield.kernels.planar.Fan`: only the two rays that bound a sector can be met next; on a ray
the gradients of its two sectors decide whether the particle crosses or slides; and a particle that
slides meets nothing but p = 0 and the origin.
"""

from __future__ import annotations

import numpy as np

from meanfield.kernels.blocks import ON_KINK
from meanfield.kernels.jit import exact
from meanfield.kernels.particle import (
    _AT_ORIGIN,
    DESCENTS,
    DESCENTS_AGAIN,
    FAR,
    NEAR,
    _first_root,
)
from meanfield.kernels.planar import _field
from meanfield.kernels.sectors import _fill_edges, _sector
from meanfield.kernels.sliding import CROSSED, GAVE_UP, ORIGIN, SLID, STEPPED_OVER, _leaves_active

#: Rows of a field: G (two), ``|G|**2``, ``sinh(|G| h)/|G|``, ``(cosh(|G| h) - 1)/|G|**2``, then the sector's
#: two rays (two each): a particle finds all that it needs under its sector's number.
_G0, _G1, _G2, _S, _C, _A0, _A1, _B0, _B1 = range(9)


@exact
def _fill_field(e, h, fan, field):
    """Tabulate the motion under a residual (already divided by n) for a time h; returns G's rounding."""
    rounding = _field(e, fan, field[_G0], field[_G1])
    for s in range(fan.rays.shape[0]):
        g2 = field[_G0, s] ** 2 + field[_G1, s] ** 2
        g = np.sqrt(g2)
        half = np.sinh(0.5 * g * h)
        field[_G2, s] = g2
        field[_S, s] = np.sinh(g * h) / g if g > 0.0 else h
        field[_C, s] = 2.0 * half * half / g2 if g > 0.0 else 0.5 * h * h
    _fill_edges(fan.rays, field[_A0:])
    return rounding


@exact
def _edge(q0, q1, s, rays):
    """The ray of sector s on which a particle lies, up to rounding; -1 if none."""
    right = s + 1 if s + 1 < rays.shape[0] else 0
    near = ON_KINK * (abs(q0) + abs(q1))
    if rays[s, 0] * q1 - rays[s, 1] * q0 <= near:
        return s
    return right if q0 * rays[right, 1] - q1 * rays[right, 0] <= near else -1


@exact
def _speeds(p, q0, q1, ray, field, fan):
    """Speeds with which the two sectors of a ray turn a particle on it counterclockwise: left, right.

    At p = 0 that of the p which the particle is about to have.
    """
    r0, r1 = fan.rays[ray, 0], fan.rays[ray, 1]
    right = ray - 1 if ray > 0 else fan.rays.shape[0] - 1
    if p == 0.0:
        p = -(q0 * field[_G0, ray] + q1 * field[_G1, ray])
    return (
        -p * (r0 * field[_G1, ray] - r1 * field[_G0, ray]),
        -p * (r0 * field[_G1, right] - r1 * field[_G0, right]),
    )


@exact
def _side(left, right, down):
    """Where a particle on a ray goes: 1 left, -1 right, 0 along it, given the speeds on both sides.

    Where both sides push away there are two futures, and the one with fewer active samples is taken.
    """
    if right > 0.0:
        return 0 if left < 0.0 else 1
    return -1 if left < 0.0 else down


@exact
def _side_at_start(p, q0, q1, ray, field, before, fan):
    """The side of :func:`_side` for a particle that a step finds on a ray; and whether that is in doubt.

    Between the residual felt before, of the table ``before``, and that of ``field`` a slide may have ended.
    """
    left, right = _speeds(p, q0, q1, ray, field, fan)
    down = fan.down[ray]
    side = _side(left, right, down)
    left_before, right_before = _speeds(p, q0, q1, ray, before, fan)
    if side == 0 or _side(left_before, right_before, down) != 0:
        return side, False
    if down > 0:
        active, doubtful = _leaves_active(-left_before, -right_before, -left, -right)
    else:
        active, doubtful = _leaves_active(right_before, left_before, right, left)
    return (-down if active else down), doubtful


@exact
def _slide(p, rho, ray, left, field, rounding, fan):
    """Slide along a ray at a distance rho from the origin, for a time left at most.

    Returns p, rho, the time left over, and what ended the slide: 0 time, 1 p = 0, 2 the origin.
    """
    g = fan.rays[ray, 0] * field[_G0, ray] + fan.rays[ray, 1] * field[_G1, ray]
    rate = abs(g)
    if rate <= rounding:
        return p, rho, 0.0, 0
    sigma = rho if g > 0.0 else -rho
    if sigma != 0.0 and 0.0 < p / sigma < 1.0:
        passed = np.arctanh(p / sigma) / rate
        if passed < left:
            return 0.0, np.sqrt((rho - p) * (rho + p)), left - passed, 1
    elif p != 0.0 and 0.0 < sigma / p < 1.0:
        passed = np.arctanh(sigma / p) / rate
        if passed < left:
            size = np.sqrt((abs(p) - rho) * (abs(p) + rho))
            return (size if p > 0.0 else -size), 0.0, left - passed, 2
    eps = np.expm1(rate * left)
    sinh, cosh1 = 0.5 * eps * (2.0 + eps) / (1.0 + eps), 0.5 * eps * eps / (1.0 + eps)
    return p + p * cosh1 - sigma * sinh, abs(sigma + sigma * cosh1 - p * sinh), 0.0, 0


@exact
def _next_ray(p, q0, q1, s, edge, left, field, fan):
    """The ray that a particle in sector s meets first within the time left: -1 if none, and its eps."""
    G0, G1, rate = field[_G0, s], field[_G1, s], np.sqrt(field[_G2, s])
    u0, u1 = G0 / rate, G1 / rate
    sigma = q0 * u0 + q1 * u1
    half = 0.5 * (sigma - p)
    found, eps = -1, np.expm1(rate * left)
    next_ray = s + 1 if s + 1 < fan.rays.shape[0] else 0
    for side in range(2):
        ray, sign = (s, 1.0) if side == 0 else (next_ray, -1.0)
        r0, r1 = sign * fan.rays[ray, 0], sign * fan.rays[ray, 1]
        speed = r0 * u1 - r1 * u0
        if speed == 0.0:
            continue
        # On the ray itself only a return counts; rounding must not make it a root.
        ds = 0.0 if ray == edge else -max(r0 * q1 - r1 * q0, 0.0) / speed
        root = _first_root(half, p + ds, ds)
        if root < eps:
            found, eps = ray, root
    return found, eps


@exact
def _fly(p, q0, q1, s, edge, left, field, fan):
    """Move within sector s until a ray is met or the time left is over.

    Returns p, q, the time left over and the ray met (-1 if none), on which q then is.
    """
    rate = np.sqrt(field[_G2, s])
    ray, eps = _next_ray(p, q0, q1, s, edge, left, field, fan)
    sinh, cosh1 = 0.5 * eps * (2.0 + eps) / (1.0 + eps), 0.5 * eps * eps / (1.0 + eps)
    sigma = (q0 * field[_G0, s] + q1 * field[_G1, s]) / rate
    moved = (sigma * cosh1 - p * sinh) / rate
    p += p * cosh1 - sigma * sinh
    q0 += moved * field[_G0, s]
    q1 += moved * field[_G1, s]
    if ray < 0:
        return p, q0, q1, 0.0, ray
    rho = q0 * fan.rays[ray, 0] + q1 * fan.rays[ray, 1]
    if rho < 0.0:  # all samples on one line: its two rays are met at once
        half = fan.rays.shape[0] // 2
        ray = ray + half if ray < half else ray - half
        rho = -rho
    left = max(left - np.log1p(eps) / rate, 0.0)
    return p, rho * fan.rays[ray, 0], rho * fan.rays[ray, 1], left, ray


@exact
def _way_out(p, field, fan):
    """The way out of the origin that leads outwards fastest: direction, sector and ray; sector -1 if none.

    Near the origin p and the fields are constant, and only the direction of q counts. It turns to where
    ``p F``, F(q) the sum of ``e_i relu(q . x_i)``, is least: inside a sector into which its own -p G points,
    or along a ray to which both sides push. There the particle moves outwards if p F is negative. The ray
    is -1 inside a sector.
    """
    rays, sign = fan.rays, 1.0 if p > 0.0 else -1.0
    u0, u1, sector, ray, fastest = 0.0, 0.0, -1, -1, 0.0
    for s in range(rays.shape[0]):
        G0, G1 = -sign * field[_G0, s], -sign * field[_G1, s]
        speed = np.sqrt(field[_G2, s])
        right = s + 1 if s + 1 < rays.shape[0] else 0
        inside = rays[s, 0] * G1 - rays[s, 1] * G0 >= 0.0 and G0 * rays[right, 1] - G1 * rays[right, 0] >= 0.0
        if inside and speed > fastest:
            u0, u1, sector, ray, fastest = G0 / speed, G1 / speed, s, -1, speed
        speed = rays[s, 0] * G0 + rays[s, 1] * G1
        if speed > fastest:
            left_turn, right_turn = _speeds(sign, rays[s, 0], rays[s, 1], s, field, fan)
            if _side(left_turn, right_turn, fan.down[s]) == 0:
                u0, u1, sector, ray, fastest = rays[s, 0], rays[s, 1], s, s, speed
    return u0, u1, sector, ray


@exact
def _has_dead_sector(fan):
    """Whether there are directions of q without active samples."""
    dead = False
    for s in range(fan.rays.shape[0]):
        dead |= fan.active[s] == 0
    return dead


@exact
def _leave_origin(p, ray, rested, field, fan):
    """Where a particle goes that slid along a ray into the origin: direction, sector and ray.

    The sector is -1 if it stays; the ray is -1 if it does not slide. At the origin the flow has more than one
    solution: to go on along any of the ways out, to rest, to die in a sector without active samples. This
    is the one of gradient descent with a vanishing learning rate: there p and the fields are constant, and
    only steps have a length. Descent that no dead sector catches steps around the origin until there is a way
    out. A particle that ``rested`` therefore takes the first one that opens.
    """
    u0, u1, sector, out = _way_out(p, field, fan)
    if sector >= 0 and rested:
        return u0, u1, sector, out
    if sector < 0 and not _has_dead_sector(fan):
        return fan.rays[ray, 0], fan.rays[ray, 1], -1, ray
    step = 0.0
    for s in range(fan.rays.shape[0]):
        step = max(step, abs(p) * np.sqrt(field[_G2, s]))
    q0, q1 = NEAR * step * fan.rays[ray, 0], NEAR * step * fan.rays[ray, 1]
    for _ in range(DESCENTS_AGAIN if rested else DESCENTS):
        size = np.sqrt(q0 * q0 + q1 * q1)
        if size == 0.0:
            break
        s = _sector(q0, q1, fan)
        if field[_G2, s] == 0.0 or size > FAR * step:
            return q0 / size, q1 / size, s, -1
        q0 -= p * field[_G0, s]
        q1 -= p * field[_G1, s]
    if sector >= 0:
        return u0, u1, sector, out
    return fan.rays[ray, 0], fan.rays[ray, 1], -1, ray


@exact
def _walk(p, q0, q1, s, edge, h, field, before, rounding, fan, stats):
    """Move one particle for a time h from sector to sector; returns p, q and its last sector.

    ``edge`` is the ray on which it lies, or -1.
    """
    rays = fan.rays.shape[0]
    left, sliding = h, False
    if edge >= 0:
        side, doubtful = _side_at_start(p, q0, q1, edge, field, before, fan)
        sliding = side == 0
        s = edge if side > 0 else edge - 1 if edge > 0 else rays - 1
        stats[STEPPED_OVER] += doubtful
    for _ in range(4 * rays + 16):
        if sliding:
            rho = np.sqrt(q0 * q0 + q1 * q1)
            near = rho <= 2.0 * _AT_ORIGIN * abs(p)
            p, rho, left, event = _slide(p, rho, edge, left, field, rounding, fan)
            q0, q1 = rho * fan.rays[edge, 0], rho * fan.rays[edge, 1]
            if event == 0:
                return p, q0, q1, edge
            if event == 2:
                stats[ORIGIN] += not near
                u0, u1, s, out = _leave_origin(p, edge, near, field, fan)
                q0, q1 = _AT_ORIGIN * abs(p) * u0, _AT_ORIGIN * abs(p) * u1
                if s < 0:
                    return p, q0, q1, edge  # wherever it goes it is pulled back: it rests
                edge, sliding = out, out >= 0
                continue
        else:
            if field[_G2, s] == 0.0 or left == 0.0:
                return p, q0, q1, s
            p, q0, q1, left, edge = _fly(p, q0, q1, s, edge, left, field, fan)
            if edge < 0:
                return p, q0, q1, s
        # On a ray that it came to, or where p = 0 ended its slide: which side now?
        speed_left, speed_right = _speeds(p, q0, q1, edge, field, fan)
        side = _side(speed_left, speed_right, fan.down[edge])
        if not sliding:
            stats[SLID if side == 0 else CROSSED] += 1
        sliding = side == 0
        s = edge if side > 0 else edge - 1 if edge > 0 else rays - 1
    stats[GAVE_UP] += 1
    return p, q0, q1, s
