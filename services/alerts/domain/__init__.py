"""What an alert is and when it fires: pure rules and values."""
