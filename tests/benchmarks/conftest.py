"""Fixtures of a small utility and its models."""

from tests.builders.model_fixtures import *  # noqa: F403  its __all__ are fixtures
