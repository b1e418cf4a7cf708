"""`pq doctor`: what is up, what is not, and why."""
