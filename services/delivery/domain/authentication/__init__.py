"""Whether a domain that we send from is set up so that its mail is believed: verdicts from records.

Nothing here waits or asks the network. A check asks `Facts`; what is not known yet is noted there
as wanted, and the same checks run again once it has been read (see services/delivery/dns).
"""
