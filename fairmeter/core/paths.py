"""Paths of the delivered files: the folder that holds the package, model.bin and data/."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
DATA = PROJECT / "data"
SAMPLE = DATA / "sample.zip"  # the simulated utility that is delivered with the program
ALERT_RULES = DATA / "alerts.toml"
DELIVERED_METRICS = DATA / "validation" / "metrics.json"  # the validation of the delivered model.bin
