"""Randomised quasi-Monte Carlo: any activation, loss and width; n points cost O(n K^2).

The fields of component c, those of a teacher first, are m^c + L z with C = L L' and z from a scrambled Sobol net mapped to
normals, whitened so that their first and second moments are exactly those of N(0, 1). The points are fixed for a whole
integration, so the right-hand side is a smooth function of the state. ReLU's delta function g'' is averaged exactly in its own
direction:

    E[e delta(lambda_k)] = p_k(0) E[e | lambda_k = 0],     lambda_i | (lambda_k = 0) = lambda_i - (C_ik / C_kk) lambda_k.
"""

from functools import lru_cache

import numpy as np

from curriculode.theory.averages.field_averages import FieldAverages, FieldLaw
from curriculode.theory.core.compiled import kernel
from curriculode.theory.core.errors import InputError
from curriculode.theory.core.linear_algebra import factor_semidefinite
from curriculode.theory.tasks.example_law import teacher_labels
from curriculode.theory.units.activations import RELU, Activation, evaluate, evaluate_curved
from curriculode.theory.units.losses import LOSSES, error_signal, error_slope, loss


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


@lru_cache(maxsize=64)
def normal_points(dimension: int, points: int, seed: int) -> np.ndarray:
    """Whitened scrambled-Sobol normals, shape (dimension, points), read-only."""
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
        self.activation, self.loss, self.points = activation, LOSSES[loss], points
        normals = normal_points(references + width, points, seed)
        # Rows of a chunk stay in the first caches, and for small K the chunk is the whole net.
        rows = min(points, max(64, 8192 // width))
        rows = 1 << (rows.bit_length() - 1)
        self._z = np.ascontiguousarray(normals.reshape(references + width, -1, rows).swapaxes(0, 1))
        self._factor = np.empty((references + width, references + width))
        self._joint = np.empty((references + width, rows))
        self._fields = np.empty((5, width, rows))
        self._references = np.empty((3, references, rows))
        self._signals = np.empty((4, rows))
        self._product = np.empty((width, width))

    def averages(self, law: FieldLaw, v: np.ndarray, out: FieldAverages, first_order: bool = True, noise_term: bool = True) -> None:
        """Fill the terms asked for of `out` with the averages of a level whose fields obey `law`, for the readout v (K,)."""
        factor_semidefinite(law.covariance, self._factor)
        teacher = law.example.teacher
        _averages(
            self.activation.code, self.loss, law.example.probability, law.example.label,
            teacher.activation, teacher.readout, teacher.sign, teacher.noise,
            law.mean, law.covariance, law.precision, self._factor, v, self._z, self._joint, self._fields, self._references,
            self._signals, self._product, first_order, noise_term, out.force, out.student, out.reference, out.square, out.readout,
        )  # fmt: skip

    def errors(self, law: FieldLaw, v: np.ndarray) -> tuple[float, float]:
        """Generalisation error E[l(f, y)] and classification error P(sign f != y)."""
        factor_semidefinite(law.covariance, self._factor)
        teacher = law.example.teacher
        return _errors(
            self.activation.code, self.loss, law.example.probability, law.example.label,
            teacher.activation, teacher.readout, teacher.sign,
            law.mean, self._factor, v, self._z, self._joint, self._fields, self._references, self._signals,
        )  # fmt: skip


@kernel
def _output(v, g, f):
    """Activations g (K, rows) -> the outputs f (rows,)."""
    f[:] = 0.0
    for k in range(g.shape[0]):
        for i in range(g.shape[1]):
            f[i] += v[k] * g[k, i]


@kernel
def _averages(
    code, loss_code, probability, label, teacher, teacher_readout, teacher_sign, label_noise,
    mean, covariance, precision, factor, v, z, joint, fields, references, signals, product,
    first_order, noise_term, force, student, reference, square, readout,
):  # fmt: skip
    """The averages over all chunks of z (chunks, R + K, rows) and all components, those of the first order or the noise term."""
    chunks, width, rows = z.shape[0], v.size, z.shape[2]
    R = references.shape[1]
    x, g, dg, d2g, h = fields[0], fields[1], fields[2], fields[3], fields[4]
    f, e, slope, y = signals[0], signals[1], signals[2], signals[3]
    nu, centred = joint[:R], joint[R:]
    if first_order:
        force[:] = 0.0
        student[:] = 0.0
        reference[:] = 0.0
        readout[:] = 0.0
    if noise_term:
        square[:] = 0.0
    for chunk in range(chunks):
        np.dot(factor, z[chunk], joint)
        for c in range(probability.size):
            weight = probability[c] / (chunks * rows)
            for k in range(width):
                for i in range(rows):
                    x[k, i] = centred[k, i] + mean[c, k]
            if first_order:
                evaluate_curved(code, x.ravel(), g.ravel(), dg.ravel(), d2g.ravel())
            else:
                evaluate(code, x.ravel(), g.ravel(), dg.ravel())
            _output(v, g, f)
            y[:] = label[c]
            if R > 0:
                teacher_labels(teacher, teacher_readout, teacher_sign, nu, references[0], references[1], y)
            for i in range(rows):
                e[i] = error_signal(loss_code, f[i], y[i])
            for k in range(width):
                for i in range(rows):
                    h[k, i] = v[k] * dg[k, i]
            if first_order:
                for k in range(width):
                    total, curved, read = 0.0, 0.0, 0.0
                    for i in range(rows):
                        total += e[i] * h[k, i]
                        read += e[i] * g[k, i]
                        curved += e[i] * d2g[k, i]
                    force[c, k] += weight * total
                    readout[k] += weight * read
                    student[k, k] += weight * v[k] * curved
                    for p in range(R):
                        total = 0.0
                        for i in range(rows):
                            total += e[i] * h[k, i] * nu[p, i]
                        reference[k, p] += weight * total
                # E[dF_k/dlambda_i] = E[e' h_k h_i] + delta_ki v_k E[e g''_k],   h_k = v_k g'_k
                for i in range(rows):
                    slope[i] = error_slope(loss_code, f[i], y[i])
                for k in range(width):
                    for i in range(rows):
                        dg[k, i] = slope[i] * h[k, i]
                np.dot(dg, h.T, product)
                for k in range(width):
                    for m in range(width):
                        student[k, m] += weight * product[k, m]
            if noise_term:
                # E[F_k F_l] = E[e^2 h_k h_l]; noise on the label adds its variance to e^2 (squared loss, e' = 1).
                for i in range(rows):
                    slope[i] = np.sqrt(e[i] * e[i] + label_noise * label_noise)
                for k in range(width):
                    for i in range(rows):
                        dg[k, i] = slope[i] * h[k, i]
                np.dot(dg, dg.T, product)
                for k in range(width):
                    for m in range(width):
                        square[k, m] += weight * product[k, m]
            if first_order and code == RELU:
                for k in range(width):
                    student[k, k] += weight * v[k] * _kink(
                        k, loss_code, label[c], teacher, teacher_readout, teacher_sign, mean[c], covariance, v, x, nu,
                        references, f, y,
                    )  # fmt: skip
    if first_order and R > 0:
        # Stein's lemma for the references, E[F_k nu_p] = sum_i E[dF_k/dlambda_i] C_ip + sum_q E[dF_k/dnu_q] C_qp, holds for labels
        # that jump as well; the references' covariance C_qp is fixed and regular.
        reference -= np.dot(student, np.ascontiguousarray(covariance[R:, :R]))
        reference[:] = np.dot(reference.copy(), precision)


@kernel
def _kink(
    k, loss_code, label, teacher, teacher_readout, teacher_sign, mean, covariance, v, x, nu, references, f, y
):  # fmt: skip
    """Sum over the rows of p_k(0) e, with all fields moved to lambda_k = 0 (ReLU): the average of e delta(lambda_k)."""
    width, rows = x.shape
    R = nu.shape[0]
    variance = covariance[R + k, R + k]
    if variance <= 0.0:
        return 0.0
    density = np.exp(-0.5 * mean[k] * mean[k] / variance) / np.sqrt(2.0 * np.pi * variance)
    f[:] = 0.0
    for m in range(width):
        if m != k:
            slope = covariance[R + m, R + k] / variance
            for i in range(rows):
                f[i] += v[m] * max(x[m, i] - slope * x[k, i], 0.0)
    y[:] = label
    if R > 0:
        for p in range(R):
            slope = covariance[p, R + k] / variance
            for i in range(rows):
                references[2, p, i] = nu[p, i] - slope * x[k, i]
        teacher_labels(teacher, teacher_readout, teacher_sign, references[2], references[0], references[1], y)
    total = 0.0
    for i in range(rows):
        total += error_signal(loss_code, f[i], y[i])
    return density * total


@kernel
def _errors(
    code, loss_code, probability, label, teacher, teacher_readout, teacher_sign,
    mean, factor, v, z, joint, fields, references, signals,
):  # fmt: skip
    """Generalisation error E[l(f, y)] and P(sign f != sign y); an output of exactly zero counts as half an error."""
    chunks, width, rows = z.shape[0], v.size, z.shape[2]
    R = references.shape[1]
    x, g, dg = fields[0], fields[1], fields[2]
    f, y = signals[0], signals[3]
    generalization, classification = 0.0, 0.0
    for chunk in range(chunks):
        np.dot(factor, z[chunk], joint)
        for c in range(probability.size):
            for k in range(width):
                for i in range(rows):
                    x[k, i] = joint[R + k, i] + mean[c, k]
            evaluate(code, x.ravel(), g.ravel(), dg.ravel())
            _output(v, g, f)
            y[:] = label[c]
            if R > 0:
                teacher_labels(teacher, teacher_readout, teacher_sign, joint[:R], references[0], references[1], y)
            total, wrong = 0.0, 0.0
            for i in range(rows):
                total += loss(loss_code, f[i], y[i])
                margin = f[i] * y[i]
                wrong += 1.0 if margin < 0.0 else (0.5 if margin == 0.0 else 0.0)
            generalization += probability[c] / (chunks * rows) * total
            classification += probability[c] / (chunks * rows) * wrong
    return generalization, classification
