"""gRPC as pq uses it: what a server does around each handler, and a client around each call."""
