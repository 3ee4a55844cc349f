"""Benchmarks of the project, each a package with a command of its own.

Role: measure what the documentation states. It must not know tests. Its trade-off: they run on the
machine's own node and take minutes, so they are started by hand and not by CI.
"""
