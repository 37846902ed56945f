"""Sentences as code and values, and the languages in which they are written."""
