"""What the operator costs while it has nothing to do but watch.

Role: a hundred stable tunings on a real node, and the operator's CPU and memory beside them. It
must not know how the operator works inside. Its trade-off: the targets are tiny servers that invent
their traffic, because what is measured is the operator and not the load.
"""
