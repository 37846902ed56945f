"""Fewer examples of hypothesis where one is expensive; as many fewer in every profile."""

from hypothesis import settings


def fewer(divisor: int, **more) -> settings:
    """A part of the profile's examples: of 100, `fewer(4)` tries 25. [more: other settings]"""
    return settings(max_examples=max(1, settings.default.max_examples // divisor), **more)
