"""The market's tables, each behind the functions that read and write it."""
