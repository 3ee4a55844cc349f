"""A small inference server, so that Infertune has something real to tune.

It answers HTTP, batches requests dynamically and runs one real model on one core. It stands outside
the operator: it must not know Infertune, Kubernetes or how it is measured. Its one trade-off: one
worker thread and one model thread, so that a replica's cost is a CPU limit and nothing else.
"""
