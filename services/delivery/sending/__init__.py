"""The part that sends: takes deliveries on lease, makes attempts, records what came of them."""
