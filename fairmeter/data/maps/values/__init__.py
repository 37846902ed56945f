"""Values of a map: coded columns -> NumPy columns; clocks, formats of dates, numbers and units."""
