"""What the market does: takes files in, and answers reads."""
