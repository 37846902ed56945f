"""Pages of one's own access: signing in and out, password and second factor."""
