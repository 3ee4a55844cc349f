"""The memory probe: how much memory does a model take by batch size, and where does it run out?

`search` chooses the next batch, `step` (a child process each) tries it, `allocation` reads what
the allocator says, `judgement` makes findings. Standard library but for torch in the children.
This package file imports nothing.
"""
