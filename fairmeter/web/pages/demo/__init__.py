"""The demonstration's page: four simulated clients day by day, a theft to try, a client to paste."""
