"""Bodies and answers of the routes of users, keys and sessions. No answer holds a password, a hash or a stored key."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints, field_validator

from fairmeter.web.desk_api.requests import DeskRequest, NewName, StorableText
from fairmeter.web.desk_api.schemas import DeskResponse

Role = Literal["viewer", "investigator", "admin"]
Password = Annotated[str, StringConstraints(max_length=200)]
Code = Annotated[str, StringConstraints(max_length=20)]
MAX_PER_MINUTE = 100_000


class SignIn(DeskRequest):
    """A user's name and password, and the code of an authenticator app for users who have set one up."""

    name: Annotated[StorableText, StringConstraints(max_length=200)]
    password: Password
    code: Code = ""


class SessionResponse(DeskResponse):
    """The signed-in user. Pages send csrf_token as X-CSRF-Token with every change."""

    name: str
    role: str
    csrf_token: str | None


class NewPassword(DeskRequest):
    """One's own password; all other sessions of the user end."""

    old: Password
    new: Password
    code: Code = ""


class NewSecondFactor(DeskRequest):
    """One's own second factor. secret: of GET /session/second-factor, or null to remove what there is."""

    secret: Annotated[str, StringConstraints(pattern=r"^[A-Z2-7]{32}$")] | None
    code: Code = Field(description="that the app shows")
    password: Password


class SecondFactorOffer(DeskResponse):
    """A new secret for an authenticator app; it counts once it is sent back with a code."""

    is_set: bool = Field(description="whether there is a second factor already")
    secret: str
    address: str = Field(description="otpauth://..., as a QR code for the app")


class NewUser(DeskRequest):
    """A user. Without a password it signs in once an admin sets one."""

    name: NewName
    role: Role = "viewer"
    password: Password | None = None


class ChangedUser(DeskRequest):
    """What changes of a user; all its sessions end."""

    role: Role | None = None
    is_active: bool | None = None
    password: Password | None = None
    without_second_factor: Literal[True] | None = Field(None, description="removes it, as for a lost phone")


class UserPath(DeskRequest):
    """A user's name."""

    name: Annotated[StorableText, StringConstraints(max_length=200)]


class UserResponse(DeskResponse):
    """A user."""

    name: str
    role: str
    is_active: bool
    created_at: datetime
    has_password: bool
    has_second_factor: bool
    is_single_sign_on: bool = Field(description="signs in at the OpenID provider")
    last_sign_in_at: datetime | None = Field(description="with a password; null: never, or purged")


class UserList(DeskResponse):
    """All users by name."""

    rows: list[UserResponse]


class SessionsEnded(DeskResponse):
    """How many sessions of a user were ended."""

    n_ended: int


class NewKey(DeskRequest):
    """A key for a script."""

    name: NewName
    role: Role = "viewer"
    expires_at: AwareDatetime | None = Field(None, description="it opens nothing from then on; null: never")
    per_minute: int | None = Field(None, ge=1, le=MAX_PER_MINUTE, description="requests of each worker; null: any")

    @field_validator("expires_at")
    @classmethod
    def _in_future(cls, moment: datetime | None) -> datetime | None:
        if moment is not None and moment <= datetime.now(UTC):
            raise ValueError("is past; the key would open nothing")
        return moment


class KeyPath(UserPath):
    """A key's name."""


class KeyResponse(DeskResponse):
    """A key; itself it is shown once, by POST /keys."""

    name: str
    role: str
    is_active: bool
    created_at: datetime
    last_used_at: datetime | None = Field(description="to the minute")
    expires_at: datetime | None
    per_minute: int | None


class KeyMade(KeyResponse):
    """A new key; note it, as it is shown this once."""

    key: str


class KeyList(DeskResponse):
    """All keys by name."""

    rows: list[KeyResponse]
