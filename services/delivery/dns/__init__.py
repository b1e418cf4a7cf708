"""Reads what `domain.authentication` wants to know: DNS, and MTA-STS policies by HTTPS."""
