"""Features and group keys from invoices."""
