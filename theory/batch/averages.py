"""The averages of a slice: over the field omega of an example at one level, with the label y = sign nu integrated out.

(omega, nu) are Gaussian with variances q and T and covariance R. Given omega = sqrt(q) u the label is +1 with probability
Phi(a u), a = R / sqrt(q T - R^2), and the two labels are mirror images, so that

    E[f^2]     = int du 2 phi(u) Phi(a u) f(sqrt(q) u)^2,      E[df/d omega] likewise,
    E[df/d nu] = sqrt(2 / (pi T)) int du phi(u) f(sqrt(q - R^2 / T) u),

the last because the label only changes at nu = 0 (it equals (E[f nu] - R E[df/d omega]) / T, by Stein's lemma, without its
cancellation). All in f of the label +1 (`theory/batch/proximal.py`); closed forms for the squared loss, and for the others Gauss's
rule on panels: edges lie on the kinks of the hinge, and crowd geometrically where Phi(a u) or the logistic function turn.
"""

import math

import numpy as np

from curriculode.theory.batch.proximal import HINGE, LOGISTIC, SQUARED, loss_of, response
from curriculode.theory.core.compiled import kernel
from curriculode.theory.units.normal import normal_cdf_pdf

_END = 9.0  # beyond which the normal density is below 1e-18
_LONGEST = 1.5
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_FEWER_NODES, _FEWER_WEIGHTS = np.polynomial.legendre.leggauss(12)
_MOST_EDGES = 2048
_ROOT_2_OVER_PI = math.sqrt(2.0 / math.pi)
_DEEPEST = 2.0**-60


@kernel
def _graded(edges, count, centre, scale):
    """Add edges at `centre` and at geometrically growing distances from `scale` on; returns their new number."""
    if -_END < centre < _END:
        edges[count] = centre
        count += 1
    distance = max(scale, _DEEPEST)
    while distance < _END + abs(centre) and count + 2 < _MOST_EDGES:
        for edge in (centre - distance, centre + distance):
            if -_END < edge < _END:
                edges[count] = edge
                count += 1
        distance *= 2.0
    return count


@kernel
def _panels(code, scale, V, turn):
    """Sorted edges in u of the panels for f(scale u), with structure at u = 0 down to the width `turn`."""
    edges = np.empty(_MOST_EDGES)
    count = 0
    for i in range(13):
        edges[count] = -_END + i * _LONGEST
        count += 1
    if turn < 1.0:
        count = _graded(edges, count, 0.0, turn)
    if scale > 0.0:
        if code == HINGE:
            for kink in (1.0 / scale, (1.0 - V) / scale):
                if -_END < kink < _END:
                    edges[count] = kink
                    count += 1
        elif code == LOGISTIC and scale > 0.5:
            # The response is singular at omega = +-i pi off these two points, where V sigma' = -1.
            corner = 1.0 + math.log1p(V)
            count = _graded(edges, count, corner / scale, 1.0 / scale)
            count = _graded(edges, count, (-V - corner) / scale, 1.0 / scale)
    return np.sort(edges[:count])


@kernel
def averages(code, fewer, q_along, q_across, T, V):
    """E[f^2], E[df/d omega] and E[df/d nu] of one level.

    q_along = R / sqrt(T), the signed root of the part R^2 / T of q along the teacher; q_across = q - R^2 / T > 0
    fewer : whether to use a rule of fewer nodes, whose difference is an estimate of the error
    """
    q = q_along * q_along + q_across
    slope = _ROOT_2_OVER_PI / math.sqrt(T)
    if code == SQUARED:
        square = (1.0 + q - 2.0 * _ROOT_2_OVER_PI * q_along) / ((1.0 + V) * (1.0 + V))
        return square, -1.0 / (1.0 + V), slope / (1.0 + V)
    nodes, weights = (_FEWER_NODES, _FEWER_WEIGHTS) if fewer else (_NODES, _WEIGHTS)
    scale, across = math.sqrt(q), math.sqrt(q_across)
    a = q_along / across
    edges = _panels(code, scale, V, 1.0 / max(abs(a), 1e-300))
    square, change = 0.0, 0.0
    for i in range(edges.size - 1):
        half, middle = 0.5 * (edges[i + 1] - edges[i]), 0.5 * (edges[i + 1] + edges[i])
        if half <= 0.0:
            continue
        for j in range(nodes.size):
            u = middle + half * nodes[j]
            weight = half * weights[j] * 2.0 * normal_cdf_pdf(u)[1] * normal_cdf_pdf(a * u)[0]
            f, df = response(code, scale * u, V)
            square += weight * f * f
            change += weight * df
    edges = _panels(code, across, V, 1.0)
    mean = 0.0
    for i in range(edges.size - 1):
        half, middle = 0.5 * (edges[i + 1] - edges[i]), 0.5 * (edges[i + 1] + edges[i])
        if half <= 0.0:
            continue
        for j in range(nodes.size):
            u = middle + half * nodes[j]
            mean += half * weights[j] * normal_cdf_pdf(u)[1] * response(code, across * u, V)[0]
    return square, change, slope * mean


@kernel
def fresh_loss(code, q_along, q_across):
    """E[l(y, omega)] of a fresh example, arguments as in `averages`."""
    q = q_along * q_along + q_across
    if code == SQUARED:
        return 0.5 * (1.0 + q - 2.0 * _ROOT_2_OVER_PI * q_along)
    scale = math.sqrt(q)
    a = q_along / max(math.sqrt(q_across), 1e-300)
    edges = _panels(code, scale, 0.0, 1.0 / max(abs(a), 1e-300))
    mean = 0.0
    for i in range(edges.size - 1):
        half, middle = 0.5 * (edges[i + 1] - edges[i]), 0.5 * (edges[i + 1] + edges[i])
        for j in range(_NODES.size):
            u = middle + half * _NODES[j]
            weight = half * _WEIGHTS[j] * 2.0 * normal_cdf_pdf(u)[1] * normal_cdf_pdf(a * u)[0]
            mean += weight * loss_of(code, scale * u)
    return mean
