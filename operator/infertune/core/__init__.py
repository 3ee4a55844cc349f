"""The functional core: every decision is a pure function of a frozen snapshot."""
