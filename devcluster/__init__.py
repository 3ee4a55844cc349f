"""A real Kubernetes node on one machine, for the demo and the end-to-end tests.

The package starts the released components themselves (API server, kubelet,
containerd, ...) as plain processes and ends them again. It knows nothing about
Infertune. Trade-off: one root user on one Linux machine is enough, no container
engine and no system service is needed, but nothing here is meant to be secure
against other users of that machine.
"""
