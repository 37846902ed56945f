"""Fixtures of a small utility, its models, and a store on SQLite."""

from tests.builders.apps import share_among_apps
from tests.builders.model_fixtures import *  # noqa: F403  its __all__ are fixtures
from tests.builders.passwords import *  # noqa: F403
from tests.builders.store_fixtures import *  # noqa: F403

share_among_apps()
