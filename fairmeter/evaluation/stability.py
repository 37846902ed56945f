"""How much of a list stays from one run to the next.

In:  client ids of two lists, the highest score first.
Out: a row for each length: how many are in both lists, and the Jaccard index, those in both by those in either
     (Jaccard, Bulletin de la Société Vaudoise des Sciences Naturelles 37, 1901). JSON takes it.
"""

from collections.abc import Sequence

TOPS = (50, 200, 1000)  # visits: of a week, a month, half a year or so
LONGEST = max(TOPS)


def stability(now: Sequence[str], former: Sequence[str]) -> list[dict]:
    """{"k", "n_both", "jaccard"} of the first k of both, for TOPS as far as both lists go; else for the shorter one."""
    shortest = min(len(now), len(former))
    lengths = [k for k in TOPS if k <= shortest] or [shortest] * bool(shortest)
    return [_row(k, set(now[:k]), set(former[:k])) for k in lengths]


def _row(k: int, now: set[str], former: set[str]) -> dict:
    n_both = len(now & former)
    return {"k": k, "n_both": n_both, "jaccard": n_both / len(now | former)}
