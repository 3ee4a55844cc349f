"""The profiler probe: where does the time of an inference call go, and what holds it back?

`capture` and `live_server` get a trace, `trace` reads it, `reading` says what it means, `tables`
ranks what is in it, `judgement` makes findings. torch is imported by the capturing child alone,
so the probe itself is standard library and runs on Python 3.8. This package file imports nothing.
"""
