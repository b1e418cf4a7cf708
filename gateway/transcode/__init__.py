"""REST over the gRPC contracts: routes, JSON, CSV and OpenAPI, all read from the descriptors."""
