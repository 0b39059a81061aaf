"""Strategies: truncation, summarization, retrieval, clearing of tool results, volatile values."""
