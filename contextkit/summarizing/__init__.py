"""Summarizing: what a summary is asked for, what it must carry, and who writes it."""
