"""Measures the demo server where its README claims numbers; not part of any image."""
