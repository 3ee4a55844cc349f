"""``infertune crd``: write the CustomResourceDefinition.

Role: render the document of ``api.crd`` as YAML, the same bytes on every machine. Must not know:
the models. Trade-off: the file is generated and committed, so that nobody needs Python to install
it; a contract test keeps it true.
"""

import argparse

import yaml

from infertune.api.crd import crd_document
from infertune.cli.parsing import Commands, add_output, write_text

HEADER = "# Generated from operator/infertune/api by `make generate`: do not edit.\n"


class _PlainDumper(yaml.SafeDumper):
    """Writes values that appear twice twice: anchors are hard to read and to compare."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def render_crd() -> str:
    """Return the CRD as YAML: keys in the order of the models, no aliases, no machine's habits."""
    body = yaml.dump(
        crd_document(), Dumper=_PlainDumper, sort_keys=False, width=100, allow_unicode=True
    )
    return HEADER + body


def register(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("crd", help="write the CustomResourceDefinition")
    add_output(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    return write_text(render_crd(), arguments.output)
