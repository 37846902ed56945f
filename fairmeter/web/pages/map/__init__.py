"""The map's page with hot spots, its stand-in by regions, and the page of a transformer."""
