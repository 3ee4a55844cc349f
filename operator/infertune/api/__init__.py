"""The contract with users: what a manifest may say, and what status answers. Pure: no clock, no I/O."""
