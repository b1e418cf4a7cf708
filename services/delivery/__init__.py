"""Webhook endpoints, and the messages that are sent to them."""
