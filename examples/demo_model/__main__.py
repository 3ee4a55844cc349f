"""Write one or more model files: `python -m demo_model --out DIR [--variant fp32 ...]`.

Role: the command line of the model script, used by the image build, the tests and people. It must
not know the server. Its trade-off: it prints the digest of the weights, so that two builds can be
compared without keeping either file in the repository.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from demo_model.variants import Variant, weights_digest, write_variant


def main(arguments: list[str]) -> int:
    """Write the wanted variants as DIR/VARIANT.onnx and print size and digest of each."""
    parser = argparse.ArgumentParser(prog="python -m demo_model", description="Make the models.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument(
        "--variant",
        action="append",
        choices=[variant.value for variant in Variant],
        help="which to make, may be repeated; default: all",
    )
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.variant or [variant.value for variant in Variant]:
        path = options.out / f"{name}.onnx"
        write_variant(Variant(name), path)
        size = path.stat().st_size / 1e6
        sys.stdout.write(f"{path.name} {size:.1f} MB weights sha256 {weights_digest(path)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
