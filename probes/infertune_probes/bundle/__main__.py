"""`python -m infertune_probes.bundle --output DIR|FILE.pyz`: probes to run in a foreign image.

Role: what the init container of a probe Job runs. It must not measure. Trade-off: a name that ends
in `.pyz` becomes one file, every other name a folder; a folder needs no zip support in the image.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from infertune_probes.bundle.contents import CannotTravel
from infertune_probes.bundle.writing import write_file, write_folder


def main(argv: list[str] | None = None) -> int:
    """Write the bundle; return 0, or 2 when it cannot be written."""
    parser = argparse.ArgumentParser(prog="python -m infertune_probes.bundle")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR|FILE.pyz", help="where to write it"
    )
    output: Path = parser.parse_args(argv).output
    try:
        count = write_file(output) if output.suffix == ".pyz" else write_folder(output)
    except (CannotTravel, OSError) as error:
        sys.stderr.write(f"no bundle: {error}\n")
        return 2
    print(f"{output}: {count} files")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
