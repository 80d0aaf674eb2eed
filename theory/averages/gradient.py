"""The gradient of weighted averages of a level, each term in the way in which the engine averages it.

* First order in closed form: force, student, reference and readout are derivatives of one function E[l(f, y)] of means, covariance
  and readout (force = dE/dm, student = 2 dE/dC, reference = dE/dC_kp, readout = dE/dv), so that the gradient of their weighted
  sum is their own derivative along the weights: two evaluations, a central difference. Also where a net averages units with kinks,
  whose averages are derivatives of E up to the net's error.
* Noise term of erf units in closed form: `erf_gradient`; of polynomials: differences, one direction after the other.
* Everything else: the net itself is differentiated, `net_gradient`.
"""

import numpy as np

from curriculode.theory.averages.choice import Engine
from curriculode.theory.averages.erf_closed_form import ErfClosedForm
from curriculode.theory.averages.erf_gradient import erf_noise_gradient
from curriculode.theory.averages.field_averages import FieldAverages, FieldLaw
from curriculode.theory.averages.net_gradient import FieldGradient, NetGradient, Weights, with_stein
from curriculode.theory.units.activations import Activation

_STEP = 1e-5  # of central differences, relative to the state: truncated at 1e-10, rounded at 1e-11
_STAIRS = 0.05  # where points under kinks make the averages staircases


class AverageGradient:
    """Gradients of what `engine` averages, for students of an activation and a loss."""

    def __init__(self, engine: Engine, activation: Activation, loss: str, width: int, references: int, scrambling: int) -> None:
        self.engine = engine
        self._net_of_first = engine.first is None and not activation.kinked
        self._made: NetGradient | None = None
        self._net_of = (activation, loss, width, references, engine.points, scrambling)

    @property
    def net(self) -> NetGradient:
        """The net and its gradient, made when it is first needed."""
        if self._made is None:
            self._made = NetGradient(*self._net_of)
        return self._made

    def gradient(self, law: FieldLaw, v: np.ndarray, weights: Weights) -> FieldGradient:
        """The gradient of the averages of `law` and v (K,), weighted; `weights.reference` are those of E[dF/dnu]."""
        found = FieldGradient.empty(law.mean.shape[0], v.size, law.references)
        noisy = self.engine.noise_terms and bool(weights.square.any())
        by_net = weights._replace(
            force=np.zeros_like(weights.force),
            student=np.zeros_like(weights.student),
            reference=np.zeros_like(weights.reference),
            readout=np.zeros_like(weights.readout),
            square=np.zeros_like(weights.square),
        )
        use_net, crossing = False, None
        if self._net_of_first:
            by_net = by_net._replace(force=weights.force, student=weights.student, readout=weights.readout)
            if law.references:
                by_net, crossing = with_stein(by_net, law, weights.reference)
            use_net = True
        else:
            _add(found, self._along(law, v, weights))
        if noisy and self.engine.noise is None:
            by_net, use_net = by_net._replace(square=weights.square), True
        elif noisy:
            _add(found, self._closed_noise(law, v, weights.square))
        if use_net:
            _add(found, self.net.gradient(law, v, by_net)[0])
            if crossing is not None:
                R, averages = law.references, _averages_like(law, v.size)
                self.engine.net.averages(law, v, averages, first_order=True, noise_term=False)
                change = -0.5 * averages.student.T @ crossing
                found.covariance[R:, :R] += change
                found.covariance[:R, R:] += change.T
        return found

    def _along(self, law: FieldLaw, v: np.ndarray, weights: Weights) -> FieldGradient:
        """The derivative of the averages of the first order along the weights."""
        R, K = law.references, v.size
        dm, dC, dv = weights.force, np.zeros_like(law.covariance), weights.readout
        dC[R:, R:] = weights.student + weights.student.T
        dC[R:, :R] = weights.reference
        dC[:R, R:] = weights.reference.T
        scale = np.sqrt(np.maximum(np.diagonal(law.covariance), 1e-300))
        sizes = [np.abs(dC / np.outer(scale, scale)).max(), np.abs(dm / scale[R:]).max(initial=0.0)]
        size = max(*sizes, np.abs(dv).max() / max(np.abs(v).max(), 1e-300))
        if not size > 0.0:
            return FieldGradient.empty(law.mean.shape[0], K, R)
        step = (_STEP if self.engine.first is not None else _STAIRS) / size
        first = self.engine.first

        def moved(factor: float) -> FieldAverages:
            near, averages = law.copy(), _averages_like(law, K)
            near.mean += factor * step * dm
            near.covariance += factor * step * dC
            shifted = v + factor * step * dv
            if first is not None:
                first.first_order(near, shifted, averages)
            else:
                self.engine.net.averages(near, shifted, averages, first_order=True, noise_term=False)
            return averages

        above, below = moved(1.0), moved(-1.0)
        force, student, reference, _, readout = ((a - b) / (2.0 * step) for a, b in zip(above, below, strict=True))
        if not np.isfinite(student).all():  # units that are one: beyond a correlation of 1 there is nothing
            inside, further, here = (
                (above, moved(2.0), moved(0.0))
                if np.isfinite(above.student).all()
                else (
                    below,
                    moved(-2.0),
                    moved(0.0),
                )
            )
            sign = 1.0 if inside is above else -1.0
            force, student, reference, _, readout = (
                sign * (4.0 * a - b - 3.0 * o) / (2.0 * step) for a, b, o in zip(inside, further, here, strict=True)
            )
        by_C = np.zeros_like(law.covariance)
        by_C[R:, R:] = 0.25 * (student + student.T)
        by_C[R:, :R] = 0.5 * reference[:, :R]
        by_C[:R, R:] = by_C[R:, :R].T
        return FieldGradient(force, by_C, readout)

    def _closed_noise(self, law: FieldLaw, v: np.ndarray, B: np.ndarray) -> FieldGradient:
        """The gradient of sum_kl B_kl E[F_k F_l] in closed form."""
        if isinstance(self.engine.noise, ErfClosedForm):
            return FieldGradient(np.zeros_like(law.mean), *erf_noise_gradient(law, v, B))
        noise, averages, R = self.engine.noise, _averages_like(law, v.size), law.references
        assert noise is not None
        near, shifted = law.copy(), v.copy()
        found = FieldGradient.empty(law.mean.shape[0], v.size, R)

        def slope(*places: tuple[np.ndarray, tuple[int, ...]]) -> float:
            """Central difference with the entries at all places moved together."""
            kept = [array[index] for array, index in places]
            step = _STEP * max(1.0, *(abs(value) for value in kept))
            values = []
            for sign in (1.0, -1.0):
                for (array, index), value in zip(places, kept, strict=True):
                    array[index] = value + sign * step
                noise.noise_term(near, shifted, averages)
                values.append(float((B * averages.square).sum()))
            for (array, index), value in zip(places, kept, strict=True):
                array[index] = value
            return (values[0] - values[1]) / (2.0 * step)

        for index in np.ndindex(near.mean.shape):
            found.mean[index] = slope((near.mean, index))
        for k in range(v.size):
            found.v[k] = slope((shifted, (k,)))
            for j in range(R + k + 1):
                i = R + k
                if i == j:
                    found.covariance[i, i] = slope((near.covariance, (i, i)))
                else:
                    both = slope((near.covariance, (i, j)), (near.covariance, (j, i)))
                    found.covariance[i, j] = found.covariance[j, i] = 0.5 * both
        return found


def _averages_like(law: FieldLaw, width: int) -> FieldAverages:
    """Empty averages of a law; the references' are there for every reference."""
    return FieldAverages.empty(law.mean.shape[0], width, law.example.gain.shape[1])


def _add(found: FieldGradient, other: FieldGradient) -> None:
    for mine, more in zip(found, other, strict=True):
        mine += more
