"""Scores trained by SGD on weights that do not move: the step of a supermask, for weight space.

    s_ki <- s_ki - (eta / sqrt(D)) e v_k g'(lambda_k) x_i w_ki,      lambda_k = sum_i m_ki w_ki x_i / sqrt(D)

the gradient of the loss by the masked weight, passed straight through the mask (Ramanujan et al. 2020, 1911.13299).
"""

import numpy as np

from curriculode.sims.spaces.draws import common_level, draw_component, draw_level
from curriculode.sims.spaces.learning import learn
from curriculode.sims.spaces.weight_space import _draw, _output, _project
from curriculode.theory.core.compiled import inner, kernel
from curriculode.theory.tasks.example_law import NO_TEACHER, teacher_labels
from curriculode.theory.units.activations import evaluate


@kernel
def advance_scores(rng, remaining, count, examples, student, rate, weights, units, answers, references, frozen, scores):
    """`count` steps of the scores (K, D); `weights` holds the masked weights, `frozen` (K, D) all of them."""
    W, U, x, edges = weights
    v, field, g, dg, push = units
    f, y, e = answers
    nu, teacher_g, teacher_dg = references
    cumulative, labels, gain, scale = examples
    label, teacher, readout, sign, noise = labels
    activation, loss = student
    flat_v, flat_field, flat_g, flat_dg = v.ravel(), field.ravel(), g.ravel(), dg.ravel()
    root = np.sqrt(W.shape[1])
    only = common_level(remaining, count)
    for _ in range(count):
        level = only if only >= 0 else draw_level(rng, remaining[0])
        c, _ = draw_component(rng, cumulative)
        y[0] = label[c]
        _draw(rng, gain, scale, level, c, root, edges, U, x)
        _project(W, x, root, field)
        evaluate(activation, flat_field, flat_g, flat_dg)
        f[0] = _output(flat_v, flat_g)
        if teacher != NO_TEACHER:
            _project(U, x, root, nu)
            teacher_labels(teacher, readout, sign, nu, teacher_g, teacher_dg, y)
            if noise > 0.0:
                y[0] += noise * rng.standard_normal()
        learn(loss, rate * root, 0.0, 1.0, v, g, dg, push, f, y, e, 1)
        _score(frozen, x, push, scores)


@inner
def _score(frozen, x, push, scores):
    """s <- s - (push x') w."""
    for k in range(frozen.shape[0]):
        step = push[k, 0]
        for i in range(x.size):
            scores[k, i] -= step * x[i] * frozen[k, i]
