"""The pages of the dashboard; dashboard.py puts them together."""
