"""People's price alerts: kept, evaluated when prices change, and announced when they fire."""
