"""Rules on invoices that look at several of them at once: copies, cancellations, credits, units."""
