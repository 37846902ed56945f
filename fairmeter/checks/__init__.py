"""What is in a utility's files, before anything is judged: facts, and what looks wrong with the line that mends it."""

from fairmeter.checks.findings import CheckFinding, CheckLevel, exit_code

__all__ = ["CheckFinding", "CheckLevel", "exit_code"]
