"""Lengths of a year and a month in days.

There are two lengths of a month: stored models and validated results were computed with the rounded one, and the
simulated utility with the exact one. Exchanging them would change both in their last digits.
"""

DAYS_PER_YEAR = 365.25
DAYS_PER_MONTH = 30.44  # rounded; invoices, features, facts
EXACT_DAYS_PER_MONTH = DAYS_PER_YEAR / 12  # simulation and theft patterns
