"""How good the network is, and how far to trust it."""
