"""Stores: where conversations and decisions are kept."""
