"""The product on one machine: an embedded real PostgreSQL, and the supervisor behind `pq up`."""
