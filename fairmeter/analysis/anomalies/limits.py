"""Limits from which evidence counts as an anomaly, fitted on honest clients.

Each kind has four limits: the values that a share of the honest clients reaches (SHARES), half of these, a quarter and
an eighth. They are the severities low, medium, high and critical. Readings have them with known neighbours and
alone; night and day hours those of simulated homes; invoices those of STEG clients without a label of fraud.
`python -m benchmarks.quality.anomalies` fits them on half of the clients and reports on the other half.
"""

NEIGHBOURS, ALONE, INVOICES = "neighbours", "alone", "invoices"
# Share of honest clients that may reach the lowest limit; together under a tenth, because many reach several.
SHARES = {
    "spike": 0.034, "peak": 0.006, "low_use": 0.008, "gradual_fall": 0.027, "own_fall": 0.016, "own_rise": 0.002,
    "neighbour_fall": 0.009, "neighbour_rise": 0.002, "flat_line": 0.001, "copied_days": 0.0005,
    "rounded_values": 0.0005, "stall": 0.002, "stops": 0.0025, "lost_phase": 0.0015, "low_weekends": 0.002,
    "night_use": 0.005, "other_hours": 0.005, "invoice_spike": 0.03, "invoice_low_use": 0.02,
    "invoice_gradual_fall": 0.01, "invoice_own_fall": 0.015, "invoice_own_rise": 0.01, "invoice_peer_fall": 0.003,
    "invoice_peer_rise": 0.003, "invoice_stall": 0.006, "invoice_rollback": 0.012, "invoice_equal": 0.003,
}  # fmt: skip
# The least that each may be, where nearly no honest client has any: what chance and coarse meters reach.
FLOORS = {
    "spike": 1.5, "peak": 1.5, "gradual_fall": 0.3, "own_fall": 0.3, "own_rise": 0.3, "neighbour_fall": 0.3,
    "neighbour_rise": 0.3, "invoice_spike": 2.0, "invoice_low_use": 4.0, "invoice_gradual_fall": 0.1,
    "invoice_own_fall": 0.3, "invoice_own_rise": 0.3, "invoice_peer_fall": 0.7, "invoice_peer_rise": 0.7,
    "invoice_stall": 2.0, "low_use": 10.0, "flat_line": 7.0, "copied_days": 7.0, "rounded_values": 0.5, "stall": 3.0,
    "stops": 3.0, "lost_phase": 1.5, "low_weekends": 0.4, "night_use": 0.05, "other_hours": 0.1, "invoice_equal": 3.0,
    "invoice_rollback": 0.25,
}  # fmt: skip
LIMITS: dict[str, dict[str, tuple[float, ...]]] = {
    NEIGHBOURS: {
        "spike": (1.74, 2.002, 2.359, 2.868),
        "peak": (1.744, 2.358, 2.842, 3.331),
        "low_use": (27.0, 61.0, 115.0, 228.0),
        "gradual_fall": (0.5888, 1.142, 1.497, 1.904),
        "own_fall": (0.8882, 1.307, 1.825, 1.986),
        "own_rise": (1.757, 3.587, 3.921, 3.921),
        "neighbour_fall": (1.352, 1.766, 1.964, 2.118),
        "neighbour_rise": (1.534, 3.164, 3.582, 3.582),
        "flat_line": (22.0, 29.0, 29.0, 29.0),
        "copied_days": (7.0, 7.0, 7.0, 7.0),
        "rounded_values": (0.5, 0.5, 0.5, 0.5),
        "stall": (3.0, 17.0, 17.0, 17.0),
        "stops": (10.0, 10.0, 17.0, 17.0),
        "lost_phase": (2.455, 2.781, 3.886, 3.886),
        "low_weekends": (1.102, 4.652, 4.878, 4.878),
        "night_use": (0.06858, 0.06858, 0.06858, 0.06858),
        "other_hours": (0.2052, 0.2052, 0.2052, 0.2052),
    },
    ALONE: {
        "spike": (1.766, 1.964, 2.375, 2.982),
        "peak": (1.814, 2.351, 3.055, 3.305),
        "low_use": (27.0, 61.0, 115.0, 228.0),
        "gradual_fall": (0.6589, 1.074, 1.507, 1.833),
        "own_fall": (0.8639, 1.266, 1.805, 1.925),
        "own_rise": (1.718, 3.692, 4.023, 4.023),
        "flat_line": (22.0, 29.0, 29.0, 29.0),
        "copied_days": (7.0, 7.0, 7.0, 7.0),
        "rounded_values": (0.5, 0.5, 0.5, 0.5),
        "stall": (3.0, 17.0, 17.0, 17.0),
        "stops": (10.0, 10.0, 17.0, 17.0),
        "lost_phase": (3.567, 3.72, 4.09, 4.09),
        "low_weekends": (1.102, 4.652, 4.878, 4.878),
        "night_use": (0.06858, 0.06858, 0.06858, 0.06858),
        "other_hours": (0.2052, 0.2052, 0.2052, 0.2052),
    },
    INVOICES: {
        "invoice_spike": (2.215, 2.923, 3.888, 5.569),
        "invoice_low_use": (36.0, 52.0, 72.0, 96.0),
        "invoice_gradual_fall": (0.3203, 0.472, 0.6997, 0.8699),
        "invoice_own_fall": (0.9658, 1.421, 1.814, 2.223),
        "invoice_own_rise": (0.9271, 1.359, 1.727, 2.097),
        "invoice_stall": (8.0, 12.0, 17.0, 24.0),
        "invoice_rollback": (4.156, 32.86, 96.53, 225.5),
        "invoice_equal": (3.0, 3.0, 3.0, 3.0),
        "invoice_peer_fall": (4.722, 4.76, 4.76, 4.76),
        "invoice_peer_rise": (3.224, 3.592, 3.875, 4.191),
    },
}
