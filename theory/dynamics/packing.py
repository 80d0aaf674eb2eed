"""The state vector of online learning: upper triangles of Q, all of M, and v where it is trained."""

from collections.abc import Sequence

from curriculode.theory.core.compiled import kernel


def state_size(blocks: int, width: int, references: int, readout_trained: bool) -> int:
    """Length of the state vector: upper triangles of Q, all of M, and v where it is trained."""
    return blocks * (width * (width + 1) // 2 + width * references) + (width if readout_trained else 0)


def state_names(blocks: int, units: Sequence[int], references: int, readout_trained: bool) -> tuple[str, ...]:
    """Name of each component: `Q[k,l]`, `M[k,p]`, `v[k]`; with several blocks `Q[b,k,l]`, `M[b,k,p]`. `units` numbers the units."""
    prefix = [""] if blocks == 1 else [f"{b}," for b in range(blocks)]
    K = len(units)
    pairs = [(units[k], units[m]) for k in range(K) for m in range(k, K)]
    names = [f"Q[{before}{min(pair)},{max(pair)}]" for before in prefix for pair in pairs]
    names += [f"M[{before}{k},{p}]" for before in prefix for k in units for p in range(references)]
    return tuple(names + ([f"v[{k}]" for k in units] if readout_trained else []))


@kernel
def pack(Q, M, v, y):
    """Write Q (blocks, K, K), M (blocks, K, P) and, if there is room, v (K,) into the state vector y."""
    n = 0
    for b in range(Q.shape[0]):
        for k in range(Q.shape[1]):
            for m in range(k, Q.shape[1]):
                y[n] = Q[b, k, m]
                n += 1
    for b in range(M.shape[0]):
        for k in range(M.shape[1]):
            for p in range(M.shape[2]):
                y[n] = M[b, k, p]
                n += 1
    for k in range(y.size - n):
        y[n + k] = v[k]


@kernel
def unpack(y, Q, M, v):
    """Read Q, M and, where the vector holds it, v from the state vector y; the inverse of `pack`."""
    n = 0
    for b in range(Q.shape[0]):
        for k in range(Q.shape[1]):
            for m in range(k, Q.shape[1]):
                Q[b, k, m] = y[n]
                Q[b, m, k] = y[n]
                n += 1
    for b in range(M.shape[0]):
        for k in range(M.shape[1]):
            for p in range(M.shape[2]):
                M[b, k, p] = y[n]
                n += 1
    for k in range(y.size - n):
        v[k] = y[n + k]


@kernel
def unpack_all(states, Q, M, v):
    """`unpack` for each row of states (times, n) into Q (times, blocks, K, K), M (times, blocks, K, P), v (times, K)."""
    for i in range(states.shape[0]):
        unpack(states[i], Q[i], M[i], v[i])
