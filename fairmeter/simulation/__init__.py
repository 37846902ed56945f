"""A simulated utility with known thefts, and the patterns of theft and of harmless change."""

from fairmeter.simulation.harmless_patterns import apply_harmless
from fairmeter.simulation.theft_patterns import apply_theft
from fairmeter.simulation.utility import simulate, simulate_utility, write_zip

__all__ = ["apply_harmless", "apply_theft", "simulate", "simulate_utility", "write_zip"]
