"""Providers' webhooks: each verified as its provider says, and read into our own events."""
