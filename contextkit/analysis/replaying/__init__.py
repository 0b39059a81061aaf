"""Replaying: conversations held again under policies, charged, beside the least possible."""
