"""The benchmark probe: how fast does this node multiply and copy, right now?

Square matrix products on the device in use (a GPU through torch, else the CPU through numpy) and
memory copies, checked against float64. The package imports only the contract. Trade-off: two
numbers that every device has, rather than the model's own kernels; the load probe measures those.
"""
