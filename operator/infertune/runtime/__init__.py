"""The imperative shell: observe, plan, execute, record, tell. It decides nothing."""
