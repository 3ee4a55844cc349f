"""Amounts as Kubernetes writes them: ``250m``, ``1.5``, ``16Gi``.

Role: read a quantity, compare two. Must not know: what is measured. Trade-off: exponents (``1e3``)
are read, rounding is not done; a text that is no quantity raises, since the API server has let it
through already.
"""

from decimal import Decimal

_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("0.001"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}


def amount_of(quantity: str) -> Decimal:
    """Return the amount in units.

    Raises:
        decimal.InvalidOperation: the text is no quantity.
    """
    for suffix in sorted(_SUFFIXES, key=len, reverse=True):
        if quantity.endswith(suffix):
            return Decimal(quantity.removesuffix(suffix)) * _SUFFIXES[suffix]
    return Decimal(quantity)


def larger(one: str, other: str) -> str:
    """Return the larger of two quantities as it was written."""
    return one if amount_of(one) >= amount_of(other) else other
