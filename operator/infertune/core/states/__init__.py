"""One module per state of the lifecycle: a pure function from a tick's context to its outcome."""
