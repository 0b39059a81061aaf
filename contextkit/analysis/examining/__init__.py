"""Examining: what the contexts of a policy, and the texts of a summarizer, keep."""
