"""What users and keys have in common: roles, names, and how a change is described in the audit chain."""

from typing import Any

from fairmeter.store.engine.database import StoreError

ROLES = ("viewer", "investigator", "admin")
OPERATOR = "command line"  # who changed a user or key by a command
SECRETS = ("_hash", "_secret", "_step")  # columns whose values are described nowhere


class NameTaken(StoreError):
    """A user or key of this name exists already."""


class NoSuchName(StoreError):
    """No user or key has this name."""


class BadRole(StoreError):
    """There is no such role."""


def checked_role(role: str) -> str:
    """The role, where there is one of this name. Raises BadRole."""
    if role not in ROLES:
        raise BadRole(f"There is no role {role!r}; use one of {', '.join(ROLES)}.")
    return role


def changes(columns: dict[str, Any]) -> str:
    """What was changed, without any secret."""
    return ", ".join(
        f"{name}{' removed' if value is None else ''}" if name.endswith(SECRETS) else f"{name}: {value}"
        for name, value in columns.items()
        if not name.endswith("_step")
    )


def storable(text: str) -> str:
    """User input without characters that a database cannot store, cut to 200 characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:200]
