"""The desk as JSON: clients, alerts, cases, inspections, the inspection list, readings, sessions."""
