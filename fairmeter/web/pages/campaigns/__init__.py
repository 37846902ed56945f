"""The pages of campaigns: what visits of a period brought, against random ones."""
