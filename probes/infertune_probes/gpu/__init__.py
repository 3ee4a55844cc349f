"""The gpu probe: which devices are there, who says so, and are they well?

Several independent witnesses (PCI bus, NVML, nvidia-smi, torch) are asked, each in a process of
its own with a deadline, because a sick GPU hangs whoever touches it. The package imports only
the contract and runs on Python 3.8. Trade-off: it asks for no GPU and changes nothing on it, so
it sees health at rest; health under load is the load probes' business.
"""
