"""Probes: what is asked of a provider's cache to find out what it does."""
