"""The page of plans: days of crews, on a map and in columns, as files for a crew."""
