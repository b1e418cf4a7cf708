"""Alerts in PostgreSQL: SQL next to the function that runs it."""
