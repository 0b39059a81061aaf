"""Benchmarks: each one command that measures, prints, and says with what."""
