"""What the provider's prompt cache sees: the prefix, where it moved and why, and forecasts."""
