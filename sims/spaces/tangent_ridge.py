"""Ridge regression in the tangent space at finite D, on the K D + K features themselves.

    (gamma 1 + Phi' Phi) in the weights, or (fewer examples than weights) gamma 1 + Phi Phi' in the examples,

with Phi = c_k x / sqrt(D) for dw and G = g for dv, which the dual form takes out first:

    (gamma G' A G + gamma_v D) dv = gamma G' A r,     A = (gamma 1 + Phi Phi')^-1.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve, lstsq

from curriculode.theory.core.errors import InputError
from curriculode.theory.tangent.ridge import Strengths
from curriculode.theory.tangent.rows import Model
from curriculode.theory.tasks.example_law import ExampleLaw, teacher_labels
from curriculode.theory.units.activations import Activation, evaluate


class Examples(NamedTuple):
    """x (n, D), labels y (n,), and what the start makes of them: c, g (n, K), f0 (n,)."""

    x: np.ndarray
    y: np.ndarray
    c: np.ndarray
    g: np.ndarray
    f0: np.ndarray


def draw_examples(
    law: ExampleLaw, U: np.ndarray, edges: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """`count` examples of a level, x (count, D) and labels with their noise (count,); U (P, D) the references."""
    D = int(edges[-1])
    # Each from a stream of its own: more examples begin with the fewer.
    of_component, of_inputs, of_noise = rng.spawn(3)
    component = of_component.choice(law.probability.size, size=count, p=law.probability)
    x = of_inputs.standard_normal((count, D))
    for b, (first, end) in enumerate(pairwise(edges)):
        x[:, first:end] = law.scale[b] * x[:, first:end] + law.gain[component, :, b] @ U[:, first:end] / np.sqrt(D)
    y = law.label[component].astype(float)
    teacher = law.teacher
    if teacher.exists:
        nu = np.ascontiguousarray(U @ x.T / np.sqrt(D))
        g, dg = np.empty_like(nu), np.empty_like(nu)
        teacher_labels(teacher.activation, teacher.readout, teacher.sign, nu, g, dg, y)
        y += teacher.noise * of_noise.standard_normal(count)
    return x, y


def seen_by(x: np.ndarray, y: np.ndarray, W0: np.ndarray, v0: np.ndarray, activation: Activation) -> Examples:
    """The examples with what the start, W0 (K, D) and v0 (K,), makes of them."""
    field = np.ascontiguousarray(x @ W0.T / np.sqrt(x.shape[1]))
    g, dg = np.empty_like(field), np.empty_like(field)
    evaluate(activation.code, field.ravel(), g.ravel(), dg.ravel())
    return Examples(x, y, dg * v0, g, g @ v0)


def fit(examples: Examples, strengths: Strengths, model: Model, scale: float) -> tuple[np.ndarray, np.ndarray, float]:
    """dW (K, D), dv (K,) and the train loss of the ridge of these strengths.

    scale : E[s^2 |c|^2] / K, in units of which the least norm is the limit of small gamma, as in theory
    """
    x, y, c, g, f0 = examples
    (n, D), K = x.shape, c.shape[1]
    gamma = max(strengths.gamma, 1e-9 * strengths.alpha * scale)
    r = y if model.centred else y - f0
    readout = g if model.readout else np.zeros((n, 0))
    phi = (c[:, :, None] * x[:, None, :]).reshape(n, K * D) / np.sqrt(D) if model.first else np.zeros((n, 0))
    if phi.shape[1] + readout.shape[1] <= n:
        features = np.hstack([phi, readout / np.sqrt(D)])  # dv sqrt(D): its strength is gamma_v
        gram = features.T @ features
        gram[np.diag_indices(len(gram))] += np.repeat([gamma, strengths.gamma_v], [phi.shape[1], readout.shape[1]])
        beta = _solved(gram, features.T @ r)
        dw, dv = beta[: phi.shape[1]], beta[phi.shape[1] :] / np.sqrt(D)
    else:
        kernel = phi @ phi.T
        kernel[np.diag_indices(n)] += gamma
        inverse = _solved(kernel, np.column_stack([r, readout]))
        dv = np.zeros(0)
        if model.readout:
            matrix = gamma * readout.T @ inverse[:, 1:] + strengths.gamma_v * D * np.eye(K)
            dv = lstsq(matrix, gamma * readout.T @ inverse[:, 0])[0]
        dw = phi.T @ (inverse[:, 0] - inverse[:, 1:] @ dv)
    train = 0.5 * float(np.mean((r - phi @ dw - readout @ dv) ** 2))
    dW = dw.reshape(K, D) if model.first else np.zeros((K, D))
    return dW, dv if model.readout else np.zeros(K), train


def _solved(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    try:
        return np.asarray(cho_solve(cho_factor(matrix), right))
    except np.linalg.LinAlgError:
        return np.asarray(lstsq(matrix, right)[0])


def check_size(dimension: int, width: int, examples: int, first: bool, largest: float) -> None:
    """Raise `InputError` where the features of a run need more than `largest` bytes."""
    needed = 8.0 * examples * dimension * (width + 1 if first else 1)
    if needed > largest:
        raise InputError(
            f"{examples} examples of {width} x {dimension} features need {needed / 1e9:.1f} GB a run, and {largest / 1e9:g} GB are "
            "allowed; use a smaller dimension, or fewer examples"
        )
