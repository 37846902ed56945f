"""Held-out parts, outer folds, injected thefts and baselines: how a model is measured."""
