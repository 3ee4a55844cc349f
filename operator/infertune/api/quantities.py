"""Quantities of Kubernetes, such as 500m and 2Gi: exact, and in the spelling the server stores.

Role: recognise a quantity, compare two, spell one as the API server does. Must not know: which
container holds it. Trade-off: exponents such as 1e3 and fractions finer than a thousandth are
refused, so that what is written is to the letter what is read back.
"""

import re
from fractions import Fraction

QUANTITY_PATTERN = r"^[0-9]{1,12}(\.[0-9]{1,3})?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"
COUNT_PATTERN = r"^[1-9][0-9]{0,2}$"
GPU = "nvidia.com/gpu"
_DECIMAL = {"m": Fraction(1, 1000), "": Fraction(1)} | {
    suffix: Fraction(1000) ** power for power, suffix in enumerate("kMGTPE", start=1)
}
_BINARY = {f"{letter}i": Fraction(1024) ** power for power, letter in enumerate("KMGTPE", start=1)}
_PARTS = re.compile(r"^([0-9.]+)([A-Za-z]*)$")


def amount(text: str) -> Fraction:
    """Return what a quantity is worth; ValueError when it is none.

    >>> amount("500m"), amount("1.5Ki")
    (Fraction(1, 2), Fraction(1536, 1))
    """
    parts = _PARTS.match(text)
    unit = (_DECIMAL | _BINARY).get(parts[2]) if parts else None
    if parts is None or unit is None:
        message = f"{text!r} is not a quantity such as 500m or 2Gi"
        raise ValueError(message)
    return Fraction(parts[1]) * unit


def canonical(text: str) -> str:
    """Return the quantity as the API server spells it: the largest unit without a fraction.

    Binary units stay binary unless that leaves a fraction of one; less than a thousandth rounds up.

    >>> canonical("1000m"), canonical("1.5"), canonical("1024Mi"), canonical("0.5Gi")
    ('1', '1500m', '1Gi', '512Mi')
    """
    worth = amount(text)
    if text.endswith("i") and worth.denominator == 1 and worth >= _BINARY["Ki"]:
        units = list(reversed(_BINARY.items()))
        fitting = next(((worth / size, unit) for unit, size in units if _whole(worth, size)), None)
        return f"{worth}" if fitting is None else f"{fitting[0]}{fitting[1]}"
    if text.endswith("i") and worth.denominator == 1:
        return f"{worth}"
    thousandths = Fraction(-(-worth.numerator * 1000 // worth.denominator), 1000)
    if thousandths == 0:
        return "0"
    for unit in ("E", "P", "T", "G", "M", "k", ""):
        if _whole(thousandths, _DECIMAL[unit]):
            return f"{thousandths / _DECIMAL[unit]}{unit}"
    return f"{thousandths * 1000}m"


def resource_values_problem(resource: str, bound: str, values: tuple[str, ...]) -> str | None:
    """Return why these are no values of the resource, with the fix, or None."""
    pattern = COUNT_PATTERN if resource == GPU else QUANTITY_PATTERN
    for value in values:
        if not re.match(pattern, value) or not re.search("[1-9]", value):
            wanted = "a whole number from 1" if resource == GPU else "above 0, such as 500m or 2Gi"
            return f"value {value!r} of resource {resource} must be {wanted}"
    spellings = [canonical(value) for value in values]
    twice = next((v for v in values if spellings.count(canonical(v)) > 1), None)
    if twice is not None:
        return f"values {list(values)} hold the quantity {twice} twice: remove one"
    if resource == GPU and bound != "Both":
        return f"resource {GPU} has one number for request and limit: set bound to Both"
    return None


def _whole(worth: Fraction, size: Fraction) -> bool:
    return worth >= size and (worth / size).denominator == 1
