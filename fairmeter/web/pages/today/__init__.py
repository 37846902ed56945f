"""The page Today and the page of all alerts."""
