"""Delivery in PostgreSQL."""
