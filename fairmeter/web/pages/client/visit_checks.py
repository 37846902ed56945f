"""What a crew is to look at: checks by evidence group and by unusual pattern, for the sheet and the phone.

In:  the evidence groups that raise a score, the patterns of the client's anomalies.
Out: sentences.
"""

from collections.abc import Iterable

from fairmeter.web.http import i18n

MAX_CHECKS = 6
ALWAYS_CHECKED = ("meter", "seals")  # whatever the reasons are


def visit_checks(groups: Iterable[str], patterns: Iterable[str] = ()) -> list[str]:
    """At most MAX_CHECKS checks: by pattern, by group, the strongest first, then those of ALWAYS_CHECKED."""
    keys = [f"crew.pattern.{name}" for name in patterns] + [f"crew.check.{name}" for name in groups]
    found = list(dict.fromkeys(text for key in keys if (text := i18n.text_or_default(key, ""))))
    always = [i18n.text(f"crew.check.{name}") for name in ALWAYS_CHECKED]
    return [*found[: MAX_CHECKS - len(always)], *always]
