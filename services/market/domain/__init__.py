"""Pure rules of the market: what a file must look like, what a card is, what a change is."""
