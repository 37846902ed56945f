"""Features from smart-meter readings, with covariates by date."""
