"""What is unusual in a client's consumption and invoices, by pattern, whether it is a theft or not."""

from fairmeter.analysis.anomalies.find import find_anomalies

__all__ = ["find_anomalies"]
