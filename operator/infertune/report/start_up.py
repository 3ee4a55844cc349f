"""The report's section on starts: where each went, and what they cost together.

Role: phases of every trial server's start, the price of starting, the base of the images. Must not
know: whence the times are. Trade-off: what is not known is said once below the table for all rows
that share the reason.
"""

from infertune.api.status import TrialRecord, TuningStatus
from infertune.core.render import number
from infertune.core.start_up import devel_note
from infertune.report.tables import NOTHING, cell, table

_HEADER = ("trial", "wait", "pull and start", "load", "first answer", "together")


def start_up_section(status: TuningStatus) -> str:
    """Return the section; empty where no start was seen and no image is to be complained of."""
    seen = [(order, trial) for order, trial in enumerate(status.trials, 1) if trial.start_up]
    notes = _devel(status)
    if not seen and not notes:
        return ""
    text = "## Start-up of trial servers\n"
    if seen:
        text += "\n" + table(_HEADER, [_row(order, trial) for order, trial in seen])
        text += f"\n{_price(seen, len(status.trials))}\n"
    text += "".join(f"\nNot known: {cell(why)}.\n" for why in _unknown(seen))
    return text + "".join(f"\n{cell(note)}.\n" for note in notes)


def _row(order: int, trial: TrialRecord) -> tuple[str, ...]:
    start = trial.start_up
    assert start is not None
    phases = (
        start.wait_seconds,
        start.pull_and_start_seconds,
        start.load_seconds,
        start.first_answer_seconds,
        start.total_seconds,
    )
    return (str(order), *(NOTHING if s is None else f"{number(s)} s" for s in phases))


def _price(seen: list[tuple[int, TrialRecord]], trials: int) -> str:
    known = [t.start_up.total_seconds for _, t in seen if t.start_up and t.start_up.total_seconds]
    return (
        f"Starting took {number(sum(known))} s in {len(known)} of {trials} trials. It is part of "
        f"their replica-hours, and so of the budget."
    )


def _unknown(seen: list[tuple[int, TrialRecord]]) -> list[str]:
    parts = [t.start_up.unknown.split("; ") for _, t in seen if t.start_up and t.start_up.unknown]
    return list(dict.fromkeys(part for one in parts for part in one))


def _devel(status: TuningStatus) -> list[str]:
    recommended = status.recommendation and status.recommendation.configuration
    images = [one.image for one in (status.baseline_configuration, recommended) if one]
    notes = (devel_note(image).removeprefix("; ") for image in dict.fromkeys(images))
    return [note for note in notes if note]
