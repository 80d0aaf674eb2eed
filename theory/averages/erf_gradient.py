"""The gradient of the noise term of erf units in closed form: `erf_noise_term` backwards, at about three times its cost.

N = sum_kl B_kl E[F_k F_l] with the E[F_k F_l] of `erf_closed_form`: each of the intermediate numbers L4, p, q, L1, L0 there is
a product or quotient of covariances, and hands its derivative back to them in the reverse order.
"""

import numpy as np

from curriculode.theory.averages.erf_closed_form import label_offset
from curriculode.theory.averages.field_averages import FieldLaw
from curriculode.theory.core.compiled import kernel
from curriculode.theory.core.linear_algebra import fill


def erf_noise_gradient(law: FieldLaw, v: np.ndarray, B: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradient by the covariance (P + K, P + K), symmetric, paired over all entries, and by v (K,), of sum_kl B_kl E[F_k F_l]."""
    teacher, n = law.example.teacher, law.covariance.shape[0]
    by_C, by_v = np.zeros((n, n)), np.zeros(v.size)
    offset = label_offset(law.example)
    _noise_gradient_of(law.covariance, teacher.readout, offset, teacher.noise, v, B, np.empty((12, n)), by_C, by_v)
    return 0.5 * (by_C + by_C.T), by_v


@kernel
def _noise_gradient_of(C, A, offset, noise, v, B, work, by_C, by_v):
    """Fill by_C, not symmetric, and by_v; `work` (12, P + K)."""
    P, K = A.size, v.size
    n = P + K
    c, to_k, to_m, p, q, inverse = work[0], work[1], work[2], work[3], work[4], work[5]
    bar_c, bar_k, bar_m, bar_i, bar_p, bar_q = work[6], work[7], work[8], work[9], work[10], work[11]
    for k in range(K):
        for m in range(k, K):
            weight = B[k, m] * (1.0 if k == m else 2.0)
            ck, cm, ckm = 1.0 + C[P + k, P + k], 1.0 + C[P + m, P + m], C[P + k, P + m]
            L4 = ck * cm - ckm * ckm
            total = 0.0
            for a in range(n):
                c[a] = -A[a] if a < P else v[a - P]
                to_k[a], to_m[a] = C[P + k, a], C[P + m, a]
                p[a] = to_m[a] * ck - ckm * to_k[a]
                q[a] = to_k[a] * cm - ckm * to_m[a]
                L1 = L4 * ((offset if a < P else 1.0) + C[a, a]) - p[a] * to_m[a] - q[a] * to_k[a]
                inverse[a] = 1.0 / np.sqrt(L1)
            fill(work[6:], 0.0)
            bar_L4, bar_ck, bar_cm, bar_ckm = 0.0, 0.0, 0.0, 0.0
            outer = weight * v[k] * v[m] * (4.0 / np.pi**2) / np.sqrt(L4)
            for a in range(n):
                for b in range(a + 1):
                    if a == b and a < P and offset == 0.0:
                        total += c[a] * c[a] * 0.5 * np.pi
                        continue
                    L0 = L4 * C[a, b] - p[a] * to_m[b] - q[a] * to_k[b]
                    u = L0 * inverse[a] * inverse[b]
                    times = 1.0 if a == b else 2.0
                    angle = np.arcsin(min(max(u, -1.0), 1.0))
                    total += times * c[a] * c[b] * angle
                    bar_c[a] += outer * times * c[b] * angle
                    bar_c[b] += outer * times * c[a] * angle
                    bar_u = outer * times * c[a] * c[b] / np.sqrt(1.0 - u * u)
                    bar_L0 = bar_u * inverse[a] * inverse[b]
                    bar_i[a] += bar_u * L0 * inverse[b]
                    bar_i[b] += bar_u * L0 * inverse[a]
                    bar_L4 += bar_L0 * C[a, b]
                    by_C[a, b] += bar_L0 * L4
                    bar_p[a] -= bar_L0 * to_m[b]
                    bar_m[b] -= bar_L0 * p[a]
                    bar_q[a] -= bar_L0 * to_k[b]
                    bar_k[b] -= bar_L0 * q[a]
            value = (4.0 / np.pi**2 * total + noise * noise * 2.0 / np.pi) / np.sqrt(L4)
            by_v[k] += weight * v[m] * value
            by_v[m] += weight * v[k] * value
            bar_L4 -= 0.5 * weight * v[k] * v[m] * value / L4
            for a in range(n):
                bar_L1 = -0.5 * bar_i[a] * inverse[a] ** 3
                bar_L4 += bar_L1 * ((offset if a < P else 1.0) + C[a, a])
                by_C[a, a] += bar_L1 * L4
                bar_p[a] -= bar_L1 * to_m[a]
                bar_m[a] -= bar_L1 * p[a]
                bar_q[a] -= bar_L1 * to_k[a]
                bar_k[a] -= bar_L1 * q[a]
                bar_m[a] += bar_p[a] * ck - bar_q[a] * ckm
                bar_k[a] += bar_q[a] * cm - bar_p[a] * ckm
                bar_ck += bar_p[a] * to_m[a]
                bar_cm += bar_q[a] * to_k[a]
                bar_ckm -= bar_p[a] * to_k[a] + bar_q[a] * to_m[a]
                by_C[P + k, a] += bar_k[a]
                by_C[P + m, a] += bar_m[a]
                if a >= P:
                    by_v[a - P] += bar_c[a]
            by_C[P + k, P + k] += bar_ck + bar_L4 * cm
            by_C[P + m, P + m] += bar_cm + bar_L4 * ck
            by_C[P + k, P + m] += bar_ckm - 2.0 * bar_L4 * ckm
