"""Passwords that are hashed in no time. For conftest files of folders whose tests sign in."""

from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

from fairmeter.web.http import sessions

__all__ = ["cheap_passwords"]

REAL_HASHER = sessions._hasher


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """Argon2 at its least cost; tests/service/test_sessions.py checks the real one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sessions, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        yield
