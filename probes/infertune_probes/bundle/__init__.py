"""Puts the probes that measure a target's own software into a folder or one file.

An init container of the probe image writes the bundle into a shared volume; the target's image
runs it with its own Python (3.8 or newer) and torch. `contents` says what travels, `writing`
writes it, `start` is what the target's Python runs first. This package file imports nothing.
"""
