"""The Kubernetes API behind the ports: plain REST on plain objects, with typed errors."""
