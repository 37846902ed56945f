"""Finding rows by a few typed characters."""
