"""The frame of all pages: search, and what belongs to the user."""
