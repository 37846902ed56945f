"""A small utility, its models, and stores: on both databases, as workers and clocks meet either."""

from tests.builders.model_fixtures import *  # noqa: F403  its __all__ are fixtures
from tests.builders.passwords import *  # noqa: F403
from tests.builders.store_fixtures import *  # noqa: F403
from tests.builders.store_fixtures import on_both_databases as pytest_generate_tests

__all__ = ["pytest_generate_tests"]
