"""The versions probe: driver, CUDA, cuDNN, NCCL, torch, and whether they run together.

It runs in the image whose software it is about; in the probe image it speaks of that one's. It must
not change anything. Trade-off: what it launches is a few kernels of some microseconds, which needs
a context and its memory, so a device that somebody uses is spared unless `--launch all` is given.
"""
