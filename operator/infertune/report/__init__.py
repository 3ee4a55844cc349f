"""Reports for people, made from recorded evidence only."""
