"""The versioned result envelope: what a probe says to the operator.

Two sides that share nothing but the JSON between them. The emit side (`envelope`, `host`,
`histogram`, `emit`, `session`) is standard library only and runs on Python 3.8, because it
travels into the target's own image. The load side (`load`, `load_result`) is pydantic and runs
in the operator. This package file imports neither, so that each side pays only for itself.
Trade-off: field names are written twice, and a round-trip test keeps the two lists equal.
"""
