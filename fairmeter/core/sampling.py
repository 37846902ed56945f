"""A client's lot: a number that its id alone decides, as good as drawn.

In:  a client's id, or any other text.
Out: a number below LOTS. Whoever takes the clients of a stretch of lots has drawn them at random, each as likely as
     another, and the next one who takes it has drawn the same ones.
"""

from hashlib import md5

LOTS = 2**31  # lots fit into a database's integers


def lot_of(text: str) -> int:
    """The first 31 bits of the MD5, which PostgreSQL has too."""
    return int.from_bytes(md5(text.encode("utf-8", "replace"), usedforsecurity=False).digest()[:4]) >> 1
