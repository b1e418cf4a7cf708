"""Tests of alerts that need no server."""
