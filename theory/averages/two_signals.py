"""E[F_k F_l] of two students that meet the same example, each with its own error signal.

With F1_k = e1 v1_k g'(lambda1_k), e1 = dl/df(f1, y), and F2 likewise, for the joint fields of both students

    square = E[(F1; F2)(F1; F2)'],     a noise on the label adding  label_noise^2 E[(h1; h2)(h1; h2)'],  h_k = v_k g'_k.

Two ways. A net over the joint fields serves any loss and unit. Where the noise term of a single student of 2K units has a closed
form, and the loss is squared, E[F1 F2'] is a combination of that student's, by polarisation: with readout (a v1, b v2) its signal
is a f1 + b f2 - y, so that H(a, b) = square[1k, 2l] / (a b) = E[(a f1 + b f2 - y)^2 h1_k h2_l] and

    E[F1_k F2_l] = 4/3 H(1/2, 1/2) - 1/8 [H(1, 1) + H(1, -1) + H(-1, 1)] + 1/24 H(-1, -1).

The copies' own blocks come from the same points as the mixed one: what is a covariance stays one.
"""

from collections.abc import Sequence

import numpy as np

from curriculode.theory.averages.choice import Engine, choose
from curriculode.theory.averages.field_averages import FieldAverages, FieldLaw
from curriculode.theory.averages.quasi_monte_carlo import add_product, normal_points, shift
from curriculode.theory.core.compiled import inner, kernel
from curriculode.theory.core.linear_algebra import factor_semidefinite, fill, matrix_product
from curriculode.theory.tasks.example_law import teacher_labels
from curriculode.theory.units.activations import Activation, evaluate
from curriculode.theory.units.losses import LOSSES, error_signal

_ROWS = 256  # of a chunk: its fields stay in the first caches
# Readouts (a, b) of the joint student, and the weights of H(a, b).
POLARISATION = ((0.5, 0.5, 4 / 3), (1.0, 1.0, -1 / 8), (1.0, -1.0, -1 / 8), (-1.0, 1.0, -1 / 8), (-1.0, -1.0, 1 / 24))


class TwoSignals:
    """The second moments of two students' forces on the same examples.

    width : K of each;  the other arguments as for `choose`, of the averages of one student
    """

    def __init__(
        self, way: str, activation: Activation, loss: str, laws: Sequence[FieldLaw], width: int, points: int, scrambling: int
    ) -> None:
        self.width = width
        joint = choose("auto" if way == "closed form" else way, activation, loss, laws, 2 * width, points, scrambling)
        self._joint: Engine | None = joint if joint.noise is not None and loss == "squared" else None
        self.way = "closed form by polarisation" if self._joint else "quasi-Monte Carlo"
        self._codes = activation.code, LOSSES[loss]
        if self._joint is not None:
            return
        references = laws[-1].references
        fields = references + 2 * width
        normals, rows = normal_points(fields, points, scrambling), min(points, _ROWS)
        # A copy: what is kept for others is read-only, to the compiler another type.
        self._z = normals.reshape(fields, -1, rows).swapaxes(0, 1).copy()
        units, labels, signals = np.empty((3, 2 * width, rows)), np.empty((3, references, rows)), np.empty((5, rows))
        self._room = (np.empty((fields, fields)), np.empty((fields, rows)), *units, *labels, *signals, np.empty((2 * width,) * 2))

    def square(self, law: FieldLaw, v: np.ndarray) -> np.ndarray:
        """E[(F1; F2)(F1; F2)'], (2K, 2K), of a level whose joint fields obey `law`, for both readouts v (2K,)."""
        K, result = self.width, np.empty((2 * self.width, 2 * self.width))
        if self._joint is None:
            two_signals(v, self._z, *law.numbers[:-1], *self._codes, *self._room, result)
            return result
        found = FieldAverages.empty(law.example.probability.size, 2 * K, law.references)
        result[:] = 0.0
        for a, b, weight in POLARISATION:
            self._noise(law, np.concatenate([a * v[:K], b * v[K:]]), found)
            result[:K, K:] += weight / (a * b) * found.square[:K, K:]
        result[K:, :K] = result[:K, K:].T
        for a, b, part in ((1.0, 0.0, slice(0, K)), (0.0, 1.0, slice(K, 2 * K))):
            self._noise(law, np.concatenate([a * v[:K], b * v[K:]]), found)
            result[part, part] = found.square[part, part]
        return result

    def _noise(self, law: FieldLaw, v: np.ndarray, found: FieldAverages) -> None:
        assert self._joint is not None
        assert self._joint.noise is not None
        self._joint.noise.noise_term(law, v, found)


# The arrays one by one, as in `quasi_monte_carlo.py`.
@kernel
def two_signals(
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
    activation,
    loss_code,
    factor,
    centred,
    x,
    g,
    h,
    nu,
    g_nu,
    dg_nu,
    f1,
    f2,
    y,
    e1,
    e2,
    product,
    square,
):
    """E[(F1; F2)(F1; F2)'] over all chunks of z (chunks, R + 2K, rows) and all components, into `square` (2K, 2K)."""
    R, K = nu.shape[0], v.size // 2
    fill(square, 0.0)
    factor_semidefinite(covariance, factor)
    for chunk in range(z.shape[0]):
        matrix_product(factor, z[chunk], centred)
        for c in range(probability.size):
            weight = probability[c] / (z.shape[0] * z.shape[2])
            shift(centred[:R], reference_mean[c], nu)
            shift(centred[R:], mean[c], x)
            evaluate(activation, x.ravel(), g.ravel(), h.ravel())
            if R > 0:
                teacher_labels(teacher, readout, sign, nu, g_nu, dg_nu, y)
            else:
                for i in range(y.size):
                    y[i] = label[c]
            _signals_of(loss_code, v[:K], g[:K], f1, y, e1)
            _signals_of(loss_code, v[K:], g[K:], f2, y, e2)
            for k in range(2 * K):
                for i in range(y.size):
                    h[k, i] *= v[k]
                    x[k, i] = h[k, i] * (e1[i] if k < K else e2[i])
            add_product(weight, x, x, product, square)
            if noise > 0.0:
                add_product(weight * noise * noise, h, h, product, square)


@inner
def _signals_of(loss_code, v, g, f, y, e):
    """The outputs f and error signals e (rows,) of one of the students."""
    for i in range(f.size):
        f[i] = 0.0
    for k in range(v.size):
        for i in range(f.size):
            f[i] += v[k] * g[k, i]
    for i in range(f.size):
        e[i] = error_signal(loss_code, f[i], y[i])
