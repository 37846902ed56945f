"""HTTP: scoring API, desk API, pages and exports; the only Flask."""
