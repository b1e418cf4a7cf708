"""The commands as the command line knows them: options and help, and nothing heavy.

What a command needs is imported when it runs, so that `pq --help` answers at once.
"""
