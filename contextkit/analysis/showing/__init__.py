"""Showing: a result as text, plots, and a page."""
