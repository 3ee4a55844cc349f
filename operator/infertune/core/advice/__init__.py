"""Advice: what holds a server back, and what would help by how much, from measured evidence.

Pure. `sources` is what was measured, `bottleneck` the one verdict over all probes, the `about_*`
modules hold the rules, `plan` puts what they say in order. No evidence, no advice.
"""
