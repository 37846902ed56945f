"""A pseudo-random number derived from the client id, for sampling that is stable between runs.

In:  a client id, or any other text.
Out: a number below N_SAMPLE_KEYS. The clients in a range of keys are a uniform random sample of all clients, and the
     same range always gives the same sample.
"""

from hashlib import md5

N_SAMPLE_KEYS = 2**31  # fits into the databases' 32-bit integer


def sample_key(text: str) -> int:
    """The first 31 bits of the text's MD5; PostgreSQL can compute the same."""
    return int.from_bytes(md5(text.encode("utf-8", "replace"), usedforsecurity=False).digest()[:4]) >> 1
