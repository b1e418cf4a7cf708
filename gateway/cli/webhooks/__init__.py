"""A receiver of webhooks for development."""
