"""A module for each library; each is imported only in the environment that has its library."""
