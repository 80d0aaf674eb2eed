"""Masked SGD from its definition alone, in plain numpy, all runs side by side: nothing of the package's engines is used."""

import numpy as np
from scipy.special import erf, expit, ndtr

G = {
    "erf": (lambda x: erf(x / np.sqrt(2)), lambda x: np.sqrt(2 / np.pi) * np.exp(-x * x / 2)),
    "relu": (lambda x: np.maximum(x, 0), lambda x: (x > 0) * 1.0),
    "gelu": (lambda x: x * ndtr(x), lambda x: ndtr(x) + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi)),
}


def weights(start, T, support, runs, D, rng):
    """w (runs, K, D), u (runs, P, D) with the overlaps of `start`, u non-zero on the first share of the inputs."""
    K, P = start.M.shape
    on = round(support * D)
    w, u = np.empty((runs, K, D)), np.zeros((runs, P, D))
    for r in range(runs):
        a = np.linalg.qr(rng.standard_normal((on, P)))[0].T
        u[r, :, :on] = np.sqrt(D) * np.linalg.cholesky(T) @ a
        b = rng.standard_normal((K, D))
        b -= (b @ u[r].T) @ np.linalg.inv(u[r] @ u[r].T) @ u[r]
        b = np.linalg.inv(np.linalg.cholesky(b @ b.T / D)) @ b
        c = start.M @ np.linalg.inv(T)
        w[r] = c @ u[r] + np.linalg.cholesky(start.Q - c @ T @ c.T + 1e-15 * np.eye(K)) @ b
    return w, u


def sgd(w, v, u, mask, levels, steps, *, g, loss, eta, kappa, trained, rng, teacher=None, fading=None):
    """Steps of SGD on w (runs, K, D) under a mask (runs, K, D); `levels` is a function of the step, the noise (runs,) of each run.

    XOR, or the regression on a `teacher` of erf units; fading : (gain (runs,) by the step, number of inputs it acts on)
    """
    runs, K, D = w.shape
    w, v = w * mask, np.broadcast_to(v, (runs, K)).copy()
    function, slope = G[g]
    for step in range(steps):
        x = levels(step)[:, None] * rng.standard_normal((runs, D))
        if teacher is None:
            c = rng.integers(0, 4, runs)
            mean = u[np.arange(runs), c // 2] * np.where(c % 2 == 0, 1.0, -1.0)[:, None] / np.sqrt(D)
            if fading is not None:
                gain, count = fading
                mean[:, :count] *= gain(step)[:, None]
            x += mean
            y = np.where(c < 2, 1.0, -1.0)
        else:
            y = G["erf"][0](np.einsum("rpd,rd->rp", u, x) / np.sqrt(D)).sum(axis=1)
        field = np.einsum("rkd,rd->rk", w, x) / np.sqrt(D)
        f = (v * function(field)).sum(axis=1)
        e = f - y if loss == "squared" else -y * expit(-y * f)
        push = e[:, None] * v * slope(field)
        dv = e[:, None] * function(field)
        w = (1 - eta * kappa / D) * w - eta / np.sqrt(D) * mask * push[:, :, None] * x[:, None, :]
        if trained:
            v = (1 - eta * kappa / D) * v - eta / D * dv
    return w, v


def largest(score, keep):
    """The mask of the largest scores of each unit."""
    count = round(keep * score.shape[-1])
    edge = np.sort(score, axis=-1)[..., -count][..., None]
    return (score >= edge) * 1.0
