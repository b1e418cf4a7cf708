"""Bounces: mails that say what became of mails, read into rows."""
