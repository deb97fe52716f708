"""Motion of all particles in a plane, in O(N + n): in blocks where no kink is met, else one by one."""

from __future__ import annotations

import numpy as np

from meanfield.kernels.blocks import ON_KINK
from meanfield.kernels.chunks import BLOCK, chunk_length
from meanfield.kernels.jit import inner, kernel
from meanfield.kernels.planar import _add_first_moments, _field
from meanfield.kernels.planar_particle import (
    _A0,
    _A1,
    _B0,
    _B1,
    _C,
    _G0,
    _G1,
    _G2,
    _S,
    _edge,
    _fill_field,
    _side_at_start,
    _walk,
)
from meanfield.kernels.sectors import _locate
from meanfield.kernels.sliding import STEPPED_OVER

__all__ = ["move", "second_moments"]


def __dir__() -> list[str]:
    return sorted(__all__)


@inner
def _glide(p, q0, q1, field, sector, left_out):
    """Move a block of particles within their sectors; marks those that may meet a ray, and leaves them.

    q goes straight, and to and fro only if p changes its sign. A sector is convex: what ends inside of it
    never left it.
    """
    G0, G1, g2, S, C = field[_G0], field[_G1], field[_G2], field[_S], field[_C]
    A0, A1, B0, B1 = field[_A0], field[_A1], field[_B0], field[_B1]
    for k in range(p.shape[0]):
        s = sector[k]
        G0_k, G1_k, a0, a1, b0, b1 = G0[s], G1[s], A0[s], A1[s], B0[s], B1[s]
        t = q0[k] * G0_k + q1[k] * G1_k
        moved = t * C[s] - p[k] * S[s]
        p_new = p[k] + (p[k] * g2[s] * C[s] - t * S[s])
        q0_new, q1_new = q0[k] + moved * G0_k, q1[k] + moved * G1_k
        near = ON_KINK * (abs(q0[k]) + abs(q1[k]))
        near_new = ON_KINK * (abs(q0_new) + abs(q1_new))
        stays = (
            (min(a0 * q1[k] - a1 * q0[k], b1 * q0[k] - b0 * q1[k]) > near)
            & (min(a0 * q1_new - a1 * q0_new, b1 * q0_new - b0 * q1_new) > near_new)
            & ((p[k] >= 0.0) == (p_new >= 0.0))
        )
        left_out[k] = 0.0 if stays else 1.0
        p[k] = p_new if stays else p[k]
        q0[k] = q0_new if stays else q0[k]
        q1[k] = q1_new if stays else q1[k]


@kernel
def move(theta, weight, e, h, fan, first, last, out, moments, change, stats):
    """Move all particles under one constant residual after another; writes the new state to ``out``.

    The residuals are the rows of ``e`` (1 + stages, n) but for the first, held for the times ``h``
    (stages,); the first is the one felt until now (see :func:`meanfield.kernels.move`).

    ``moments`` (chunks, stages, rays, 2) are the first moments after each stage (see
    :func:`meanfield.kernels.planar.first_moments`); ``change`` (chunks, 3) and ``stats`` (chunks, 5) those of
    :func:`meanfield.kernels.move`.

    Cost: about 60 operations per particle and stage, a few hundred where a kink is met, whatever n is.

    Parameters
    ----------
    theta : ndarray, shape (3, N)
        State.
    weight : ndarray, shape (N,)
        Multiplicity of each neuron.
    e : ndarray, shape (1 + stages, n)
        Residuals; the first is the one felt until now.
    h : ndarray, shape (stages,)
        For how long the others are held (canonical time s).
    fan : Fan
        Geometry of the samples, made by :func:`fan`.
    first, last : int
        Chunks ``first <= chunk < last``.
    out : ndarray, shape (3, N)
        New state.
    moments : ndarray, shape (chunks, stages, rays, 2)
        First moments.
    change : ndarray, shape (chunks, 3)
        Squared distances.
    stats : ndarray of int, shape (chunks, 5)
        Counts.
    """
    size, stages, n = theta.shape[1], h.shape[0], e.shape[1]
    length = chunk_length(size)
    fields, roundings = np.empty((1 + stages, 9, fan.rays.shape[0])), np.empty(1 + stages)
    for stage in range(1 + stages):
        roundings[stage] = _fill_field(e[stage] / n, h[stage - 1] if stage > 0 else 0.0, fan, fields[stage])
    block, flags, sectors = np.empty((3, BLOCK)), np.empty(BLOCK), np.empty(BLOCK, np.uint32)
    for chunk in range(first, last):
        moments[chunk], stats[chunk], change[chunk] = 0.0, 0, 0.0
        stop = min((chunk + 1) * length, size)
        for lo in range(chunk * length, stop, BLOCK):
            hi = min(lo + BLOCK, stop)
            p, q0, q1 = block[0, : hi - lo], block[1, : hi - lo], block[2, : hi - lo]
            flag, sector = flags[: hi - lo], sectors[: hi - lo]
            p[:], q0[:], q1[:] = theta[0, lo:hi], theta[1, lo:hi], theta[2, lo:hi]
            _locate(q0, q1, fan, flag, sector)
            for stage in range(1, 1 + stages):
                field = fields[stage]
                _glide(p, q0, q1, field, sector, flag)
                for k in range(hi - lo):
                    if flag[k] == 0.0 or not 0.0 < abs(q0[k]) + abs(q1[k]) < np.inf:
                        continue
                    s = np.int64(sector[k])
                    edge = _edge(q0[k], q1[k], s, fan.rays)
                    in_doubt = stats[chunk, STEPPED_OVER]
                    fields_now = field, fields[stage - 1], roundings[stage], fan
                    p[k], q0[k], q1[k], s = _walk(
                        p[k], q0[k], q1[k], s, edge, h[stage - 1], *fields_now, stats[chunk]
                    )
                    sector[k] = np.uint32(s)
                    if stats[chunk, STEPPED_OVER] > in_doubt:
                        change[chunk, 2] += weight[lo + k] * abs(p[k]) * np.hypot(q0[k], q1[k])
                _add_first_moments(p, q0, q1, weight[lo:hi], sector, moments[chunk, stage - 1])
            change[chunk, 0] += _replace(p, weight[lo:hi], out[0, lo:hi])
            change[chunk, 1] += _replace(q0, weight[lo:hi], out[1, lo:hi])
            change[chunk, 1] += _replace(q1, weight[lo:hi], out[2, lo:hi])


@inner
def _replace(new, w, row):
    """Write a row of a block; returns its weighted squared distance from what was there."""
    total = 0.0
    for k in range(row.shape[0]):
        total += w[k] * (new[k] - row[k]) ** 2
        row[k] = new[k]
    return total


@kernel
def second_moments(theta, weight, e, before, fan, first, last, partial):
    """Sums of ``weight (q q' + p**2 P)`` per sector, ``partial`` (chunks, rays, 3): xx, xy and yy.

    P is the identity, and for a particle that slides along a ray under the residual e the projection
    onto the ray; ``before`` is the residual felt until now. ``sum_s x_i . partial_s x_j`` over
    the sectors where both are active is the tangent Gram matrix of the motion.

    Cost: about 40 operations per particle, whatever n is.

    Parameters
    ----------
    theta : ndarray, shape (3, N)
        State.
    weight : ndarray, shape (N,)
        Multiplicity of each neuron.
    e, before : ndarray, shape (n,)
        The residual, and the one felt until now.
    fan : Fan
        Geometry of the samples, made by :func:`fan`.
    first, last : int
        Chunks ``first <= chunk < last``.
    partial : ndarray, shape (chunks, rays, 3)
        Gets the result.
    """
    size = theta.shape[1]
    length = chunk_length(size)
    rays = fan.rays
    field, field_before = np.empty((2, rays.shape[0])), np.empty((2, rays.shape[0]))
    _field(e / e.shape[0], fan, field[_G0], field[_G1])
    _field(before / e.shape[0], fan, field_before[_G0], field_before[_G1])
    here, sectors = np.empty(BLOCK), np.empty(BLOCK, np.uint32)
    for chunk in range(first, last):
        partial[chunk] = 0.0
        sums = partial[chunk]
        stop = min((chunk + 1) * length, size)
        for lo in range(chunk * length, stop, BLOCK):
            hi = min(lo + BLOCK, stop)
            p, q0, q1, w = theta[0, lo:hi], theta[1, lo:hi], theta[2, lo:hi], weight[lo:hi]
            _locate(q0, q1, fan, here[: hi - lo], sectors[: hi - lo])
            for k in range(hi - lo):
                if q0[k] == 0.0 and q1[k] == 0.0:
                    continue  # at the origin a neuron is inactive on every sample
                s = np.int64(sectors[k])
                P00, P01, P11 = 1.0, 0.0, 1.0
                edge = _edge(q0[k], q1[k], s, rays)
                if edge >= 0:
                    side, _ = _side_at_start(p[k], q0[k], q1[k], edge, field, field_before, fan)
                    s = edge if side > 0 else edge - 1 if edge > 0 else rays.shape[0] - 1
                    if side == 0:
                        r0, r1 = rays[edge, 0], rays[edge, 1]
                        P00, P01, P11 = r0 * r0, r0 * r1, r1 * r1
                wpp = w[k] * p[k] * p[k]
                sums[s, 0] += w[k] * q0[k] * q0[k] + wpp * P00
                sums[s, 1] += w[k] * q0[k] * q1[k] + wpp * P01
                sums[s, 2] += w[k] * q1[k] * q1[k] + wpp * P11
