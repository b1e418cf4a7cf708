"""E-mail: what is sent, through which provider, and what came of it."""
