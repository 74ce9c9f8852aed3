"""What make calls: decide what is stale, execute notebooks, verify, export, clean."""
