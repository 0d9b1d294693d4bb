"""What all requests have in common: when they run, in which order, what their status says."""
