"""What alerts does: for people, and when prices change."""
