"""Retrieval: what was cut is found again and put into the request that needs it."""
