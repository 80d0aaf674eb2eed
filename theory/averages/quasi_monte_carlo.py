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

import numpy as np

from curriculode.theory.averages.field_averages import FieldAverages, FieldLaw
from curriculode.theory.core.compiled import inner, kernel
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.core.linear_algebra import factor_semidefinite, fill, matrix_product, outer_product
from curriculode.theory.tasks.example_law import teacher_labels
from curriculode.theory.units.activations import RELU, Activation, evaluate, evaluate_curved
from curriculode.theory.units.losses import LOSSES, error_signal, error_slope, loss

_MOST_BYTES = 256 * 2**20  # of nets that are kept for another use
_nets: OrderedDict[tuple[int, int, int], np.ndarray] = OrderedDict()
_kept_bytes = 0
_nets_lock = threading.Lock()


def check_points(points: int, fields: int) -> None:
    """Raise `InputError` unless a net of `points` can average over that many `fields`."""
    if isinstance(points, bool) or not isinstance(points, (int, np.integer)) or points < 2 or points & (points - 1):
        raise InputError(f"points = {shown(points)} is not allowed; a Sobol net needs a power of two, such as 256, 1024 or 4096")
    if points > 2**22:
        raise InputError(f"points = {points} is not allowed; at most 2^22 = {2**22}")
    if points < least_points(fields):
        raise InputError(f"points = {points} are too few for {fields} fields; use at least {least_points(fields)}")


def least_points(fields: int) -> int:
    """The smallest net that can be whitened: two points a field."""
    return 1 << (2 * fields - 1).bit_length()


def normal_points(dimension: int, points: int, seed: int) -> np.ndarray:
    """Whitened scrambled-Sobol normals, shape (dimension, points), read-only; those used last are kept, up to 256 MB of them."""
    global _kept_bytes
    key = dimension, points, seed
    with _nets_lock:
        if key in _nets:
            _nets.move_to_end(key)
            return _nets[key]
    z = _make_points(dimension, points, seed)
    with _nets_lock:
        if key not in _nets:
            _nets[key] = z
            _kept_bytes += z.nbytes
        while _nets and _kept_bytes > _MOST_BYTES:
            _kept_bytes -= _nets.popitem(last=False)[1].nbytes
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
        # Always a copy: what is kept for others is read-only, to the compiler another type, for which all would be compiled again.
        self._z = normals.reshape(references + width, -1, rows).swapaxes(0, 1).copy()
        joint = references + width
        kinks = np.array(activation.kinks, dtype=float).reshape(-1, 2)
        self._student, self._kinks = (activation.code, LOSSES[loss]), kinks
        student, fields, signals = np.empty((5, width, rows)), np.empty((3, references, rows)), np.empty((4, rows))
        # All views are made here, once: in kernels they are code to compile, and a little to run.
        self._fields = (np.empty((joint, joint)), np.empty((joint, rows)), student[0], *fields, student[1], student[2])
        self._flat = tuple(student.reshape(5, width * rows)[:4])
        self._signals, self._curved = (*signals[:3], student[4], np.empty((width, width))), (student[3], signals[3])

    def averages(self, law: FieldLaw, v: np.ndarray, out: FieldAverages, first_order: bool = True, noise_term: bool = True) -> None:
        """Fill the terms asked for of `out` with the averages of a level whose fields obey `law`, for the readout v (K,)."""
        given = (v, self._z, *law.numbers, *self._student, *self._fields, *self._flat)
        if first_order:
            _averages_of(noise_term, *given, *self._signals, *self._curved, self._kinks, *out)
        elif noise_term:
            _noise_term_of(*given, *self._signals, out.square)

    def errors(self, law: FieldLaw, v: np.ndarray) -> tuple[float, float]:
        """Generalisation error E[l(f, y)] and classification error P(sign f != y)."""
        given = (v, self._z, *law.numbers, *self._student, *self._fields, *self._flat)
        return _errors_of(*given, *self._signals[:2])


# Every kernel takes its arrays one by one, the same names throughout: named tuples cost 3 us a call from Python, and their copies
# and references seconds to compile. In order, but for the numbers of `FieldLaw`: codes of activation and loss; factor
# (R + K, R + K), centred (R + K, rows), all fields but their means; x (K, rows) of the student; nu, g_nu, dg_nu (R, rows) of
# the references;
# g, dg (K, rows) of the student; the flat views of x, g, dg, d2g; f, y, e (rows,): outputs, labels, dl/df; h (K, rows),
# h_k = v_k g'_k; product (K, K); d2g (K, rows); slope (rows,), d2l/df2; kinks, rows of (place, jump of g').
# What is done for a chunk is a kernel of its own: a call is nothing to it, and what is written out twice is compiled twice.
@kernel
def _averages_of(
    noise_term,
    v,
    z,
    label,
    teacher,
    readout,
    sign,
    noise,
    probability,
    mean,
    reference_mean,
    covariance,
    precision,
    activation,
    loss_code,
    factor,
    centred,
    x,
    nu,
    g_nu,
    dg_nu,
    g,
    dg,
    flat_x,
    flat_g,
    flat_dg,
    flat_d2g,
    f,
    y,
    e,
    h,
    product,
    d2g,
    slope,
    kinks,
    force,
    student,
    reference,
    square,
    read,
):
    """The averages of the first order, and the noise term, over all chunks of z (chunks, R + K, rows) and all components."""
    R = nu.shape[0]
    fill(force, 0.0)
    fill(student, 0.0)
    fill(reference, 0.0)
    for k in range(read.size):
        read[k] = 0.0
    if noise_term:
        fill(square, 0.0)
    factor_semidefinite(covariance, factor)
    for chunk in range(z.shape[0]):
        matrix_product(factor, z[chunk], centred)
        for c in range(probability.size):
            weight = probability[c] / (z.shape[0] * z.shape[2])
            shift(centred[:R], reference_mean[c], nu)
            shift(centred[R:], mean[c], x)
            evaluate_curved(activation, flat_x, flat_g, flat_dg, flat_d2g)
            _answer(v, g, label[c], teacher, readout, sign, nu, g_nu, dg_nu, f, y)
            _signals(loss_code, v, f, y, dg, e, h)
            _add_first_order(weight, v, centred, f, y, loss_code, e, slope, g, d2g, h, force[c], student, reference, read)
            _scale(slope, h, dg)
            add_product(weight, dg, h, product, student)
            if noise_term:
                _strengths(e, noise, slope)
                _scale(slope, h, dg)
                add_product(weight, dg, dg, product, square)
            for n in range(kinks.shape[0]):
                for k in range(v.size):
                    # The fields x are still those of component c, all else is room to work in.
                    density = _move(activation, k, kinks[n, 0], mean[c], reference_mean[c], covariance, centred, x, d2g, nu, v, f)
                    if density != 0.0:
                        if activation == RELU:
                            _answer(v[:0], g, label[c], teacher, readout, sign, nu, g_nu, dg_nu, f, y)
                        else:
                            evaluate(activation, flat_d2g, flat_g, flat_dg)
                            _answer(v, g, label[c], teacher, readout, sign, nu, g_nu, dg_nu, f, y)
                        student[k, k] += weight * v[k] * kinks[n, 1] * density * _sum_of_signals(loss_code, f, y)
    if R > 0:
        _stein(student, covariance, precision, reference)


@kernel
def _noise_term_of(
    v,
    z,
    label,
    teacher,
    readout,
    sign,
    noise,
    probability,
    mean,
    reference_mean,
    covariance,
    _,
    activation,
    loss_code,
    factor,
    centred,
    x,
    nu,
    g_nu,
    dg_nu,
    g,
    dg,
    flat_x,
    flat_g,
    flat_dg,
    __,
    f,
    y,
    e,
    h,
    product,
    square,
):
    """The noise term alone: no second derivatives."""
    R = nu.shape[0]
    fill(square, 0.0)
    factor_semidefinite(covariance, factor)
    for chunk in range(z.shape[0]):
        matrix_product(factor, z[chunk], centred)
        for c in range(probability.size):
            shift(centred[:R], reference_mean[c], nu)
            shift(centred[R:], mean[c], x)
            evaluate(activation, flat_x, flat_g, flat_dg)
            _answer(v, g, label[c], teacher, readout, sign, nu, g_nu, dg_nu, f, y)
            _signals(loss_code, v, f, y, dg, e, h)
            _strengths(e, noise, e)
            _scale(e, h, dg)
            add_product(probability[c] / (z.shape[0] * z.shape[2]), dg, dg, product, square)


@kernel
def _errors_of(
    v,
    z,
    label,
    teacher,
    readout,
    sign,
    _,
    probability,
    mean,
    reference_mean,
    covariance,
    __,
    activation,
    loss_code,
    factor,
    centred,
    x,
    nu,
    g_nu,
    dg_nu,
    g,
    dg,
    flat_x,
    flat_g,
    flat_dg,
    ___,
    f,
    y,
):
    """Generalisation error E[l(f, y)] and P(sign f != sign y); an output of exactly zero counts as half an error."""
    R = nu.shape[0]
    generalization, classification = 0.0, 0.0
    factor_semidefinite(covariance, factor)
    for chunk in range(z.shape[0]):
        matrix_product(factor, z[chunk], centred)
        for c in range(probability.size):
            shift(centred[:R], reference_mean[c], nu)
            shift(centred[R:], mean[c], x)
            evaluate(activation, flat_x, flat_g, flat_dg)
            _answer(v, g, label[c], teacher, readout, sign, nu, g_nu, dg_nu, f, y)
            total, wrong = _count(loss_code, f, y)
            weight = probability[c] / (z.shape[0] * z.shape[2])
            generalization += weight * total
            classification += weight * wrong
    return generalization, classification


@inner
def shift(centred, mean, fields):
    """The fields of a component: means and what is centred."""
    for k in range(fields.shape[0]):
        m = mean[k]
        for i in range(fields.shape[1]):
            fields[k, i] = centred[k, i] + m


@inner
def _answer(v, g, label, teacher, readout, sign, nu, g_nu, dg_nu, f, y):
    """The outputs f (rows,) of activations g (K, rows), left alone where v is empty; labels y of references or component."""
    if v.size > 0:
        for i in range(f.size):
            f[i] = 0.0
        for k in range(v.size):
            for i in range(f.size):
                f[i] += v[k] * g[k, i]
    if nu.shape[0] > 0:
        teacher_labels(teacher, readout, sign, nu, g_nu, dg_nu, y)
    else:
        for i in range(y.size):
            y[i] = label


@inner
def _signals(loss_code, v, f, y, dg, e, h):
    """Error signals e, and h_k = v_k g'_k."""
    for i in range(f.size):
        e[i] = error_signal(loss_code, f[i], y[i])
    for k in range(h.shape[0]):
        for i in range(h.shape[1]):
            h[k, i] = v[k] * dg[k, i]


@inner
def _add_first_order(weight, v, centred, f, y, loss_code, e, slope, g, d2g, h, force, student, reference, readout):
    """Add the averages of the first order but for kinks; `reference` gathers E[F_k (nu_p - E nu_p)], for `_stein`.

    Of E[dF_k/dlambda_i] = E[e' h_k h_i] + delta_ki v_k E[e g''_k] the last; of the first the factor e', `slope`.
    """
    for k in range(h.shape[0]):
        total, curved, read = 0.0, 0.0, 0.0
        for i in range(e.size):
            total += e[i] * h[k, i]
            read += e[i] * g[k, i]
            curved += e[i] * d2g[k, i]
        force[k] += weight * total
        readout[k] += weight * read
        student[k, k] += weight * v[k] * curved
        for p in range(centred.shape[0] - h.shape[0]):
            total = 0.0
            for i in range(e.size):
                total += e[i] * h[k, i] * centred[p, i]
            reference[k, p] += weight * total
    for i in range(e.size):
        slope[i] = error_slope(loss_code, f[i], y[i])


@inner
def _strengths(e, noise, strengths):
    """|e|, with the noise on the label, which adds its variance to e^2 (squared loss, e' = 1): E[F_k F_l] = E[e^2 h_k h_l]."""
    for i in range(e.size):
        strengths[i] = np.sqrt(e[i] * e[i] + noise * noise)


@inner
def _scale(factor, h, scaled):
    for k in range(h.shape[0]):
        for i in range(h.shape[1]):
            scaled[k, i] = factor[i] * h[k, i]


@inner
def add_product(weight, a, b, product, total):
    """Add `weight` times a b' of a and b (K, rows) to total (K, K)."""
    outer_product(a, b, product)
    for k in range(product.shape[0]):
        for m in range(product.shape[1]):
            total[k, m] += weight * product[k, m]


@inner
def _move(activation, k, place, mean, reference_mean, covariance, centred, x, moved, nu, v, f):
    """Move all fields to lambda_k = place, in `moved` and `nu`, and return the density of lambda_k there; 0 where it has none.

    The commonest unit needs no room for its fields: its outputs f are summed as they are moved.
    """
    R, width = nu.shape[0], x.shape[0]
    variance = covariance[R + k, R + k]
    if variance <= 0.0:
        return 0.0
    for p in range(R):
        slope = covariance[p, R + k] / variance
        for i in range(f.size):
            nu[p, i] = centred[p, i] + reference_mean[p] - slope * (x[k, i] - place)
    if activation == RELU:
        for i in range(f.size):
            f[i] = 0.0
        for m in range(width):
            if m != k:
                slope = covariance[R + k, R + m] / variance
                for i in range(f.size):
                    f[i] += v[m] * max(x[m, i] - slope * x[k, i], 0.0)
    else:
        for m in range(width):
            slope = covariance[R + m, R + k] / variance
            for i in range(f.size):
                moved[m, i] = place if m == k else x[m, i] - slope * (x[k, i] - place)
    distance = mean[k] - place
    return np.exp(-0.5 * distance * distance / variance) / np.sqrt(2.0 * np.pi * variance)


@inner
def _sum_of_signals(code, f, y):
    total = 0.0
    for i in range(f.size):
        total += error_signal(code, f[i], y[i])
    return total


@inner
def _count(loss_code, f, y):
    """Sum of the losses, and number of wrong signs."""
    total, wrong = 0.0, 0.0
    for i in range(f.size):
        total += loss(loss_code, f[i], y[i])
        margin = f[i] * y[i]
        wrong += 1.0 if margin < 0.0 else (0.5 if margin == 0.0 else 0.0)
    return total, wrong


@inner
def _stein(student, covariance, precision, reference):
    """Stein's lemma for the references, E[F_k (nu_p - E nu_p)] = sum_i E[dF_k/dlambda_i] C_ip + sum_q E[dF_k/dnu_q] C_qp, solved.

    It holds for labels that jump as well, and for the sum over components, since they share their covariance. That of the
    references, C_qp, is fixed.
    """
    K, R = reference.shape
    rest = np.empty(R)
    for k in range(K):
        for p in range(R):
            rest[p] = reference[k, p]
            for i in range(K):
                rest[p] -= student[k, i] * covariance[R + i, p]
        for p in range(R):
            reference[k, p] = 0.0
            for q in range(R):
                reference[k, p] += rest[q] * precision[q, p]
