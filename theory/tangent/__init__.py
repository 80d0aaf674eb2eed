"""The tangent space of a committee at its start: the linear model that it would be if it hardly moved.

    f_lin = [f0] + sum_k dv_k g_k + sum_k c_k (dw_k . x) / sqrt(D),     c_k = v0_k g'(lambda0_k),  g_k = g(lambda0_k)

The verbs that solve it are those of other training: `theory/solve/tangent_ridge.py`, `theory/solve/tangent_sgd.py`.
"""
