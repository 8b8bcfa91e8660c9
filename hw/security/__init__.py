"""Who may talk to whom: mutual TLS, identities, limits."""
