"""Lists and crew sheets as files: CSV, XLSX and PDF."""
