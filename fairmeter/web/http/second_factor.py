"""The second factor of users with a password: codes by time (TOTP, RFC 6238), as authenticator apps show them.

In:  a secret, a code.
Out: a new secret and its address for an app; the time step that a code belongs to.
"""

from datetime import UTC, datetime

from fairmeter.store import Store, User

ISSUER = "Fairmeter"
STEP = 30  # seconds that a code is shown
TOLERANCE = 1  # steps before and after, as the clock of a phone may be off
DIGITS = 6


def new_secret() -> str:
    """A secret for one user. [Base32, 160 bits]"""
    import pyotp  # only where somebody has a second factor

    return pyotp.random_base32()


def app_address(name: str, secret: str) -> str:
    """The address that an authenticator app reads from a QR code."""
    import pyotp

    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=ISSUER)


def step_of(secret: str, code: str, now: datetime | None = None) -> int | None:
    """The time step whose code this is; None for any other text."""
    import pyotp

    code = code.replace(" ", "")
    if not (code.isascii() and code.isdecimal() and len(code) == DIGITS):
        return None
    totp, current = pyotp.TOTP(secret), int((now or datetime.now(UTC)).timestamp()) // STEP
    steps = range(current - TOLERANCE, current + TOLERANCE + 1)
    return next((step for step in steps if totp.verify(code, for_time=step * STEP)), None)


def is_valid(store: Store, user: User, code: str) -> bool:
    """Whether the code belongs to the user's second factor and was not used before; it is used from now on."""
    step = step_of(user.totp_secret, code) if user.totp_secret else None
    return step is not None and store.use_totp_step(user.name, step)
