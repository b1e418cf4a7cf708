"""What delivery knows: endpoints and deliveries as values, and the rules that they obey."""
