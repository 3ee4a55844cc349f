"""The contract with users: what a manifest may say, what status answers. No clock, no I/O."""
