"""The row-wise stage of a map: batches of files -> canonical rows; joins and wide tables."""
