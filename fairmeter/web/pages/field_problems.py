"""What is wrong with a value of a form or an address, in the reader's language, under the field's name on the page.

In:  an error of pydantic (a dict of ValidationError.errors).
Out: one sentence. A library's own sentence is never shown: it names the field otherwise, in English.
"""

from collections.abc import Mapping
from typing import Any

from fairmeter.web.http import i18n
from fairmeter.wording.locales import ENGLISH

LABELS = (
    "cases.field",
    "paper.filter",
    "campaigns",
    "settings.name",
    "plan",
    "list",
)  # sections in which a field's label is looked for, in order
# The key of the sentence by the kind of the error, and the entry of its context that is the limit.
KINDS = {
    "int_parsing": ("whole", ""), "int_from_float": ("whole", ""), "int_type": ("whole", ""),
    "float_parsing": ("number", ""), "float_type": ("number", ""), "finite_number": ("number", ""),
    "decimal_parsing": ("number", ""),
    "date_parsing": ("day", ""), "date_from_datetime_parsing": ("day", ""), "date_type": ("day", ""),
    "datetime_parsing": ("day", ""), "datetime_from_date_parsing": ("day", ""),
    "greater_than_equal": ("at_least", "ge"), "greater_than": ("above", "gt"),
    "less_than_equal": ("at_most", "le"), "less_than": ("below", "lt"),
    "string_too_long": ("too_long", "max_length"), "string_too_short": ("missing", ""), "missing": ("missing", ""),
    "literal_error": ("choice", ""), "enum": ("choice", ""),
}  # fmt: skip


def problem_of(error: Mapping[str, Any]) -> str:
    """The sentence of an error. [error: with `ctx`]"""
    name = label_of(str(error["loc"][0]) if error["loc"] else "")
    kind, limit = KINDS.get(error["type"], ("unusable", ""))
    if kind == "unusable" and error["type"] == "value_error" and i18n.current_locale().language == ENGLISH:
        return i18n.text("site.named", name=name, value=error["msg"].removeprefix("Value error, ").rstrip(".") + ".")
    if not limit:
        return i18n.text(f"problem.{kind}", name=name)
    return i18n.text(f"problem.{kind}", name=name, limit=_written(error["ctx"][limit]))


def label_of(field: str) -> str:
    """The name of a field on the page; without one, its own in words."""
    words = field.replace("_", " ").capitalize()
    labels = (i18n.text_or_default(f"{section}.{field}", "") for section in LABELS)
    return next((label for label in labels if label), words)


def _written(limit: Any) -> str:
    if isinstance(limit, int | float):
        return i18n.number(limit, 0 if float(limit).is_integer() else 2)
    return str(limit)
