"""The public face: HTTP in, gRPC out."""
