"""`pq webhook check`: plays right and wrong deliveries against somebody's receiver."""
