"""Randomised quasi-Monte Carlo: any activation, loss and width; n points cost O(n K^2).

The fields of component c, those of a teacher first, are m^c + L z with C = L L' and z from a scrambled Sobol net mapped to
normals, whitened so that their first and second moments are exactly those of N(0, 1). The points are fixed for a whole
integration, so the right-hand side is a smooth function of the state. Where g' jumps, at x0, the delta function of g'' is averaged
exactly in its own direction:

    E[e delta(lambda_k - x0)] = p_k(x0) E[e | lambda_k = x0],
    lambda_i | (lambda_k = x0) = lambda_i - (C_ik / C_kk) (lambda_k - x0).
"""

import threading
from collections import OrderedDict
from typing import NamedTuple

import numpy as np

from curriculode.theory.averages.field_averages import FieldAverages, FieldLaw, law_of
from curriculode.theory.core.compiled import kernel, part
from curriculode.theory.core.errors import InputError
from curriculode.theory.core.linear_algebra import factor_semidefinite
from curriculode.theory.tasks.example_law import teacher_labels
from curriculode.theory.units.activations import RELU, Activation, evaluate, evaluate_curved
from curriculode.theory.units.losses import LOSSES, error_signal, error_slope, loss

_MOST_BYTES = 256 * 2**20  # of nets that are kept for another use
_nets: OrderedDict[tuple[int, int, int], np.ndarray] = OrderedDict()
_nets_lock = threading.Lock()


def check_points(points: int, fields: int) -> None:
    """Raise `InputError` unless a net of `points` can average over that many `fields`."""
    if isinstance(points, bool) or not isinstance(points, (int, np.integer)) or points < 2 or points & (points - 1):
        raise InputError(f"points = {points!r} is not allowed; a Sobol net needs a power of two, such as 256, 1024 or 4096")
    if points > 2**22:
        raise InputError(f"points = {points} is not allowed; at most 2^22 = {2**22}")
    if points < least_points(fields):
        raise InputError(f"points = {points} are too few for {fields} fields; use at least {least_points(fields)}")


def least_points(fields: int) -> int:
    """The smallest net that can be whitened: two points a field."""
    return 1 << (2 * fields - 1).bit_length()


def normal_points(dimension: int, points: int, seed: int) -> np.ndarray:
    """Whitened scrambled-Sobol normals, shape (dimension, points), read-only; those used last are kept, up to 256 MB of them."""
    key = dimension, points, seed
    with _nets_lock:
        if key in _nets:
            _nets.move_to_end(key)
            return _nets[key]
    z = _make_points(dimension, points, seed)
    with _nets_lock:
        _nets[key] = z
        while sum(net.nbytes for net in _nets.values()) > _MOST_BYTES:
            _nets.popitem(last=False)
    return z


def _make_points(dimension: int, points: int, seed: int) -> np.ndarray:
    from scipy.special import ndtri
    from scipy.stats import qmc

    check_points(points, dimension)
    uniform = qmc.Sobol(dimension, scramble=True, rng=np.random.default_rng([seed, dimension])).random(points)
    z = ndtri(np.clip(uniform, 2.0**-53, 1 - 2.0**-53)).T
    z -= z.mean(axis=1, keepdims=True)
    z = np.linalg.solve(np.linalg.cholesky(z @ z.T / points), z)
    z = np.ascontiguousarray(z)
    z.flags.writeable = False
    return z


class Student(NamedTuple):
    """What is averaged: codes of activation and loss, and rows (place, jump of g') of the activation's kinks."""

    activation: int
    loss: int
    kinks: np.ndarray


class Scratch(NamedTuple):
    """Room for one chunk of a net, rows along the last axis: all fields but their means, then what is made of them.

    factor (R + K, R + K), centred (R + K, rows);  x, g, dg, d2g, h (K, rows) of the student, h_k = v_k g'_k;
    nu, g_nu, dg_nu (R, rows) of the references;  f, e, slope, y (rows,): outputs, dl/df, d2l/df2, labels;  product (K, K)
    """

    factor: np.ndarray
    centred: np.ndarray
    x: np.ndarray
    g: np.ndarray
    dg: np.ndarray
    d2g: np.ndarray
    h: np.ndarray
    nu: np.ndarray
    g_nu: np.ndarray
    dg_nu: np.ndarray
    f: np.ndarray
    e: np.ndarray
    slope: np.ndarray
    y: np.ndarray
    product: np.ndarray


class QuasiMonteCarlo:
    """The averages of one student and loss by a net of `points` (a power of two); `seed` picks the scrambling."""

    name = "quasi-Monte Carlo"

    def __init__(
        self, activation: Activation, loss: str, width: int, references: int = 0, points: int = 1024, seed: int = 0
    ) -> None:
        """`references` is the number of reference fields that labels depend on."""
        self.points = points
        normals = normal_points(references + width, points, seed)
        # Rows of a chunk stay in the first caches, and for small K the chunk is the whole net.
        rows = min(points, max(64, 8192 // width))
        rows = 1 << (rows.bit_length() - 1)
        self._z = np.ascontiguousarray(normals.reshape(references + width, -1, rows).swapaxes(0, 1))
        self._student = Student(activation.code, LOSSES[loss], np.array(activation.kinks, dtype=float).reshape(-1, 2))
        joint = references + width
        self._scratch = (
            np.empty((joint, joint)),
            np.empty((joint, rows)),
            np.empty((5, width, rows)),
            np.empty((3, references, rows)),
            np.empty((4, rows)),
            np.empty((width, width)),
        )

    def averages(self, law: FieldLaw, v: np.ndarray, out: FieldAverages, first_order: bool = True, noise_term: bool = True) -> None:
        """Fill the terms asked for of `out` with the averages of a level whose fields obey `law`, for the readout v (K,)."""
        _averages_of(first_order, noise_term, v, self._z, *law.numbers, *out, *self._student, *self._scratch)

    def errors(self, law: FieldLaw, v: np.ndarray) -> tuple[float, float]:
        """Generalisation error E[l(f, y)] and classification error P(sign f != y)."""
        return _errors_of(v, self._z, *law.numbers, *self._student, *self._scratch)


# Arrays come one by one and are put into named tuples here: numba takes 3 us longer to read the tuples of a call from Python, which
# for a small committee are a tenth of its averages.
@kernel
def _averages_of(first_order, noise_term, v, z, *given):
    law, out, student, work = law_of(given), FieldAverages(*given[10:15]), Student(*given[15:18]), _scratch(*given[18:])
    _averages(student, law, v, z, work, out, first_order, noise_term)


@kernel
def _errors_of(v, z, *given):
    return _errors(Student(*given[10:13]), law_of(given), v, z, _scratch(*given[13:]))


@kernel
def _scratch(factor, centred, student, references, signals, product):
    x, g, dg, d2g, h = student[0], student[1], student[2], student[3], student[4]
    nu, g_nu, dg_nu = references[0], references[1], references[2]
    f, e, slope, y = signals[0], signals[1], signals[2], signals[3]
    return Scratch(factor, centred, x, g, dg, d2g, h, nu, g_nu, dg_nu, f, e, slope, y, product)


@part
def _averages(student, law, v, z, work, out, first_order, noise_term):
    """The averages over all chunks of z (chunks, R + K, rows) and all components, those of the first order or the noise term."""
    if first_order:
        out.force[:] = 0.0
        out.student[:] = 0.0
        out.reference[:] = 0.0
        out.readout[:] = 0.0
    if noise_term:
        out.square[:] = 0.0
    factor_semidefinite(law.covariance, work.factor)
    for chunk in range(z.shape[0]):
        np.dot(work.factor, z[chunk], work.centred)
        for c in range(law.probability.size):
            weight = law.probability[c] / (z.shape[0] * z.shape[2])
            _fields(law, c, work)
            _signals(student, law, c, v, work, first_order)
            if first_order:
                _add_first_order(student, law, c, v, work, weight, out)
            if noise_term:
                _add_noise_term(law, work, weight, out)
            if first_order:
                _add_kinks(student, law, c, v, work, weight, out)
    if first_order and law.reference_mean.shape[1] > 0:
        _stein(law, out)


@part
def _fields(law, c, work):
    """The fields of component c: means and what is centred."""
    R = law.reference_mean.shape[1]
    _shift(work.centred[:R], law.reference_mean[c], work.nu)
    _shift(work.centred[R:], law.mean[c], work.x)


@kernel
def _shift(centred, mean, fields):
    for k in range(fields.shape[0]):
        m = mean[k]
        for i in range(fields.shape[1]):
            fields[k, i] = centred[k, i] + m


@part
def _output(v, g, f):
    """Activations g (K, rows) -> the outputs f (rows,)."""
    f[:] = 0.0
    for k in range(g.shape[0]):
        for i in range(g.shape[1]):
            f[i] += v[k] * g[k, i]


@part
def _labels(labels, c, work):
    """The labels y of the reference fields nu, or of component c."""
    if work.nu.shape[0] > 0:
        teacher_labels(labels.teacher, labels.readout, labels.sign, work.nu, work.g_nu, work.dg_nu, work.y)
    else:
        work.y[:] = labels.label[c]


@part
def _signals(student, law, c, v, work, curved):
    """From the fields: activations and their derivatives, outputs, labels, error signals e, and h_k = v_k g'_k."""
    if curved:
        evaluate_curved(student.activation, work.x.ravel(), work.g.ravel(), work.dg.ravel(), work.d2g.ravel())
    else:
        evaluate(student.activation, work.x.ravel(), work.g.ravel(), work.dg.ravel())
    _output(v, work.g, work.f)
    _labels(law.labels, c, work)
    f, e, y, dg, h = work.f, work.e, work.y, work.dg, work.h
    for i in range(f.size):
        e[i] = error_signal(student.loss, f[i], y[i])
    for k in range(h.shape[0]):
        for i in range(h.shape[1]):
            h[k, i] = v[k] * dg[k, i]


@part
def _add_first_order(student, law, c, v, work, weight, out):
    """Add the averages of the first order but for kinks; `reference` gathers E[F_k (nu_p - E nu_p)], for `_stein`."""
    width, rows = work.x.shape
    R = work.nu.shape[0]
    e, slope, g, dg, d2g, h, centred = work.e, work.slope, work.g, work.dg, work.d2g, work.h, work.centred
    for k in range(width):
        total, curved, read = 0.0, 0.0, 0.0
        for i in range(rows):
            total += e[i] * h[k, i]
            read += e[i] * g[k, i]
            curved += e[i] * d2g[k, i]
        out.force[c, k] += weight * total
        out.readout[k] += weight * read
        out.student[k, k] += weight * v[k] * curved
        for p in range(R):
            total = 0.0
            for i in range(rows):
                total += e[i] * h[k, i] * centred[p, i]
            out.reference[k, p] += weight * total
    # E[dF_k/dlambda_i] = E[e' h_k h_i] + delta_ki v_k E[e g''_k],   h_k = v_k g'_k
    for i in range(rows):
        slope[i] = error_slope(student.loss, work.f[i], work.y[i])
    for k in range(width):
        for i in range(rows):
            dg[k, i] = slope[i] * h[k, i]
    np.dot(dg, h.T, work.product)
    _add(weight, work.product, out.student)


@part
def _add_noise_term(law, work, weight, out):
    """Add E[F_k F_l] = E[e^2 h_k h_l]; noise on the label adds its variance to e^2 (squared loss, e' = 1)."""
    variance = law.labels.noise * law.labels.noise
    e, slope, dg, h = work.e, work.slope, work.dg, work.h
    for i in range(e.size):
        slope[i] = np.sqrt(e[i] * e[i] + variance)
    for k in range(h.shape[0]):
        for i in range(h.shape[1]):
            dg[k, i] = slope[i] * h[k, i]
    np.dot(dg, dg.T, work.product)
    _add(weight, work.product, out.square)


@part
def _add(weight, product, total):
    for k in range(product.shape[0]):
        for m in range(product.shape[1]):
            total[k, m] += weight * product[k, m]


@part
def _add_kinks(student, law, c, v, work, weight, out):
    """Add what the jumps of g' give E[dF_k/dlambda_k]; the fields x are still those of component c, all else is room to work in."""
    for n in range(student.kinks.shape[0]):
        for k in range(work.x.shape[0]):
            out.student[k, k] += weight * v[k] * student.kinks[n, 1] * _kink(student, law, c, v, work, k, student.kinks[n, 0])


@kernel
def _relu_output(v, x, covariance, k, f):
    """The outputs f with lambda_k moved to 0, `covariance` (K,) that of lambda_k with all units."""
    f[:] = 0.0
    for m in range(v.size):
        if m != k:
            slope = covariance[m] / covariance[k]
            for i in range(f.size):
                f[i] += v[m] * max(x[m, i] - slope * x[k, i], 0.0)


@part
def _kink(student, law, c, v, work, k, place):
    """Sum over the rows of p_k(place) e, with all fields moved to lambda_k = place: the average of e delta(lambda_k - place)."""
    width, rows = work.x.shape
    R = work.nu.shape[0]
    variance = law.covariance[R + k, R + k]
    if variance <= 0.0:
        return 0.0
    distance = law.mean[c, k] - place
    density = np.exp(-0.5 * distance * distance / variance) / np.sqrt(2.0 * np.pi * variance)
    x, f, y, moved, nu, centred = work.x, work.f, work.y, work.d2g, work.nu, work.centred
    if student.activation == RELU:
        # The commonest unit needs neither room nor a call.
        _relu_output(v, x, law.covariance[R + k, R:], k, f)
    else:
        for m in range(width):
            slope = law.covariance[R + m, R + k] / variance
            for i in range(rows):
                moved[m, i] = place if m == k else x[m, i] - slope * (x[k, i] - place)
        evaluate(student.activation, moved.ravel(), work.g.ravel(), work.dg.ravel())
        _output(v, work.g, f)
    for p in range(R):
        slope = law.covariance[p, R + k] / variance
        for i in range(rows):
            nu[p, i] = centred[p, i] + law.reference_mean[c, p] - slope * (x[k, i] - place)
    _labels(law.labels, c, work)
    return density * _sum_of_signals(student.loss, f, y)


@kernel
def _sum_of_signals(code, f, y):
    total = 0.0
    for i in range(f.size):
        total += error_signal(code, f[i], y[i])
    return total


@part
def _stein(law, out):
    """Stein's lemma for the references, E[F_k (nu_p - E nu_p)] = sum_i E[dF_k/dlambda_i] C_ip + sum_q E[dF_k/dnu_q] C_qp, solved.

    It holds for labels that jump as well, and for the sum over components, since they share their covariance. That of the
    references, C_qp, is fixed.
    """
    R = law.reference_mean.shape[1]
    out.reference[:] -= np.dot(out.student, np.ascontiguousarray(law.covariance[R:, :R]))
    out.reference[:] = np.dot(out.reference.copy(), law.precision)


@part
def _errors(student, law, v, z, work):
    """Generalisation error E[l(f, y)] and P(sign f != sign y); an output of exactly zero counts as half an error."""
    f, y = work.f, work.y
    generalization, classification = 0.0, 0.0
    factor_semidefinite(law.covariance, work.factor)
    for chunk in range(z.shape[0]):
        np.dot(work.factor, z[chunk], work.centred)
        for c in range(law.probability.size):
            _fields(law, c, work)
            evaluate(student.activation, work.x.ravel(), work.g.ravel(), work.dg.ravel())
            _output(v, work.g, f)
            _labels(law.labels, c, work)
            total, wrong = 0.0, 0.0
            for i in range(f.size):
                total += loss(student.loss, f[i], y[i])
                margin = f[i] * y[i]
                wrong += 1.0 if margin < 0.0 else (0.5 if margin == 0.0 else 0.0)
            weight = law.probability[c] / (z.shape[0] * z.shape[2])
            generalization += weight * total
            classification += weight * wrong
    return generalization, classification
