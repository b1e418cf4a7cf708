"""Tests of alerts on a real PostgreSQL and through real gRPC."""
