"""What holds for every test: how many examples hypothesis tries, and the markers, which follow from the folders.

Fixtures stand in the conftest of the folder that needs them; those of several folders come from tests/builders/.
"""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes is asserted nowhere. The first two profiles always try the same examples, so that a check
# gives the same answer twice; new ones are looked for at night, by `make nightly`.
settings.register_profile("dev", max_examples=20, deadline=None, derandomize=True)
settings.register_profile("ci", max_examples=50, deadline=None, derandomize=True)
settings.register_profile("nightly", max_examples=1_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))

TESTS = Path(__file__).parent
# The order in which folders are given to the workers: files that take long first, many short ones last.
LONGEST_FIRST = ("model", "system", "cli", "benchmarks", "browser", "store", "service", "architecture", "unit")

NIGHTLY = ("benchmarks",)  # folders whose tests take long; single tests have the marker themselves


def folder_of(item: pytest.Item) -> str:
    return item.path.relative_to(TESTS).parts[0]


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(folder_of(item))
        if folder_of(item) in NIGHTLY:
            item.add_marker("nightly")
    items.sort(key=lambda item: LONGEST_FIRST.index(folder_of(item)))
