"""Every object we create or apply, as plain mappings with deterministic names."""
