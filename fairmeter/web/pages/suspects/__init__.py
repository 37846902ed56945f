"""The page Suspects: all clients by filter and sort."""
