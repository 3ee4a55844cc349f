"""The system probe: what the machine around the GPU is doing, and how it is set up.

One window over the kernel's counters (processor, memory, disks, network, pressure, processes)
and the facts that do not change in a window (NUMA, clock, limits). Standard library only, Python
3.8; it writes nothing and changes nothing. Trade-off: /proc and /sys are read as they are, so in
a pod some files speak of the node and some of the pod; the result says which.
"""
