"""`pq ops`: what waits for a person in the services, and getting it to go on."""
