"""Stand-ins for the world: a cluster with controllers, live traffic, a hand-moved clock."""
