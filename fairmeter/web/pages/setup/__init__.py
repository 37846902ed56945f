"""The pages of setup: crews and users, alert rules, settings."""
