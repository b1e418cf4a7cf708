"""From a day's prices to its published version."""
