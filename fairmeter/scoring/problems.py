"""What can be wrong with a request or with one of its rows, independent of the web framework.

Out: Problem, which a route answers with its status; InvalidRow, which a predictor raises for one of its rows.
Messages name the place of a bad value and never repeat the value: requests hold personal data.
"""

from typing import NamedTuple


class FieldProblem(NamedTuple):
    """A bad value's place within its client's object ("invoices.3.new_index"), and what is wrong with it."""

    path: str
    message: str


class Problem(Exception):
    """What is wrong with a request, or with one row of a batch. [status: of HTTP; headers: of the answer to it]"""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        fields: tuple[FieldProblem, ...] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.fields = status, code, message, fields
        self.headers = headers or {}


class InvalidRow(ValueError):
    """Raised by a scorer: one of the rows that it was given has a bad value."""

    def __init__(self, index: int, path: str, message: str) -> None:
        super().__init__(f"row {index}, {path}: {message}")
        self.index, self.field = index, FieldProblem(path, message)


def bad_value(path: str, message: str) -> Problem:
    return Problem(422, "bad_value", f"{path}: {message}.", (FieldProblem(path, message),))


def error_of(problem: Problem) -> dict:
    """The value of "error" in an answer."""
    fields = [field._asdict() for field in problem.fields]
    return {"code": problem.code, "message": problem.message, "fields": fields}
