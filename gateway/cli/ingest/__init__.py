"""Sending files of prices and catalogues to the market."""
