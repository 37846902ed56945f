"""The dashboard below /desk/: one module and one template per page, listed in registry.py."""
