"""Connections, schema, upserts, keyset paging and packed columns of the store."""
