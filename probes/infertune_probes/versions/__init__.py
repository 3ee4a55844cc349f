"""The versions probe: driver, CUDA, cuDNN, NCCL, torch, and whether they run together.

It runs in the image whose software it is about; in the probe image it speaks of that one's. It must
not change anything. Trade-off: what it launches is a few kernels of some microseconds, which needs
a context on every visible device; `--no-launch` leaves that out where devices serve live traffic.
"""
