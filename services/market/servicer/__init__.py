"""The market's RPCs: messages to values and back."""
