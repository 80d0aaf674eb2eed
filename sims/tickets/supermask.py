"""Scores trained by SGD on weights that do not move: the step of a supermask, for weight space.

    s_ki <- s_ki - (eta / sqrt(D)) e v_k g'(lambda_k) x_i w_ki,      lambda_k = sum_i m_ki w_ki x_i / sqrt(D)

the gradient of the loss by the masked weight, passed straight through the mask (Ramanujan et al. 2020, 1911.13299).
"""

import numpy as np

from curriculode.sims.spaces.draws import common_level, draw_level
from curriculode.sims.spaces.learning import learn
from curriculode.sims.spaces.weight_space import meet
from curriculode.theory.core.compiled import inner, kernel


@kernel
def advance_scores(rng, remaining, count, examples, student, rate, weights, units, answers, references, frozen, scores):
    """`count` steps of the scores (K, D); `weights` holds the masked weights, `frozen` (K, D) all of them."""
    x, (v, _, g, dg, push), (f, y, e) = weights[2], units, answers
    activation, loss = student
    root = np.sqrt(frozen.shape[1])
    only = common_level(remaining, count)
    for _ in range(count):
        level = only if only >= 0 else draw_level(rng, remaining[0])
        meet(rng, level, examples, activation, root, weights, units, answers, references)
        learn(loss, rate * root, 0.0, 1.0, v, g, dg, push, f, y, e, 1)
        _score(frozen, x, push, scores)


@inner
def _score(frozen, x, push, scores):
    """s <- s - (push x') w."""
    for k in range(frozen.shape[0]):
        step = push[k, 0]
        for i in range(x.size):
            scores[k, i] -= step * x[i] * frozen[k, i]
