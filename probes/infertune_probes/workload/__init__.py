"""A user's model as something that can be called: entry point, sample input, batch size.

Shared by the profiler and the memory probe, and only ever run in their child processes: it
imports torch and the user's code. It must not measure. This package file imports nothing.
"""
