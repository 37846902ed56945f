"""The client-wise stage of a map: all rows of a client -> its settled rows."""
