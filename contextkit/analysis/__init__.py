"""Analysis: what measured conversations show."""
