"""What can be done with endpoints and messages."""
