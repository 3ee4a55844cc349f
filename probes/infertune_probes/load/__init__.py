"""The load probe: an open-loop generator that says what a server really did to its callers.

Latency counts from the moment a request was *meant* to leave, so a stalled server cannot hide
behind a client that waits for it. The package imports only the contract; the operator reaches it
as a Job or a subprocess, never by import. Trade-off: one process and one event loop, good to
about 3,000 requests per second; above that the lateness finding says so.
"""
