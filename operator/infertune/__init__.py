"""Infertune tunes a running model server to a latency promise, and takes a harmful change back."""

__version__ = "0.1.0"
