"""The tables of clients and invoices in partitions, on disk or on Spark, for client bases larger than memory."""
