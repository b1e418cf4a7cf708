"""The `pq` command: a client of the public face, and what runs the product on one machine."""
