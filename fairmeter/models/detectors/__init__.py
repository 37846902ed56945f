"""Unsupervised detectors: classical, rolling, autoencoder, forecaster."""
