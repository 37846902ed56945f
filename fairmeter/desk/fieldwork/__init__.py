"""Field work at the desk: the days of crews, the visits on a phone, what campaigns brought."""
