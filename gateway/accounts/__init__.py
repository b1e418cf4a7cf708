"""Accounts, and the tokens that speak for accounts and operators."""
