"""The ways a message can go. Each takes a leased delivery and answers what came of it."""
