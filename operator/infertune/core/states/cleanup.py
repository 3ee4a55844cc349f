"""Removing our own Jobs.

Role: one effect per Job that nobody needs any more. Must not know: which ones those are.
Trade-off: by UID, so that a Job of the same name made meanwhile is never removed.
"""

from infertune.core.plan import DeleteObject
from infertune.core.snapshot import JobView, Key

JOB_API = "batch/v1"


def delete_job(key: Key, job: JobView) -> DeleteObject:
    """Return the effect that removes one of our Jobs with its pod."""
    return DeleteObject(JOB_API, "Job", key.namespace, job.name, job.uid)


def delete_jobs(key: Key, jobs: tuple[JobView, ...]) -> tuple[DeleteObject, ...]:
    """Return the effects that remove all of these."""
    return tuple(delete_job(key, job) for job in jobs)
