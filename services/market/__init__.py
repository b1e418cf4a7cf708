"""Market: cards, their daily prices, and the events that tell of their changes."""
