"""`make demo`: the whole loop on a real node, told as it happens, and measured before and after."""
