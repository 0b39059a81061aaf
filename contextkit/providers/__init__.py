"""The wire: what is sent to a provider, what comes back, and a model server on loopback."""
