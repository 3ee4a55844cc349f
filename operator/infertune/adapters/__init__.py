"""The only code that talks to the world: the API server, Prometheus, the clock, the log."""
