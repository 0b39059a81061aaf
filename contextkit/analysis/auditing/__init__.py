"""Auditing: what recorded requests did not read from the cache, and why."""
