"""kubectl, as the commands call it.

Role: run it with the user's own rights, context and credentials, within a time limit, and turn
every way it can fail into one error with a sentence. Must not know: what is asked. Trade-off: a
process for each question instead of a client library, which a person's machine need not have.
"""

import argparse
import json
import subprocess
from dataclasses import dataclass
from typing import Any

WRONG_INPUT = 2
FAILED = 1
TIMEOUT_SECONDS = 30.0


class KubectlError(Exception):
    """kubectl is not there or did not do it; ``status`` is the exit status that fits."""

    def __init__(self, message: str, status: int = FAILED) -> None:
        super().__init__(message)
        self.status = status


def add_kubectl(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say which kubectl and which cluster."""
    parser.add_argument("--context", help="context of the kubeconfig")
    parser.add_argument("--kubectl", default="kubectl", help="the kubectl to call")


@dataclass(frozen=True, slots=True)
class Kubectl:
    """One program and one context."""

    program: str
    context: str | None

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> "Kubectl":
        """Return what the parsed flags of ``add_kubectl`` name."""
        return cls(arguments.kubectl, arguments.context)

    def command(self, *words: str) -> list[str]:
        """Return the whole command line."""
        context = ("--context", self.context) if self.context else ()
        return [self.program, *context, *words]

    def text(self, *words: str, stdin: str | None = None, timeout: float = TIMEOUT_SECONDS) -> str:
        """Return what kubectl wrote to its standard output.

        Raises:
            KubectlError: it is not installed, took longer than ``timeout`` seconds, or failed.
        """
        try:
            # The words are ours or the user's own, and no shell reads them.
            done = subprocess.run(  # noqa: S603
                self.command(*words),
                input=stdin,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except FileNotFoundError as error:
            message = f"{self.program}: not found: install kubectl or name it with --kubectl"
            raise KubectlError(message, WRONG_INPUT) from error
        except subprocess.TimeoutExpired as error:
            message = f"kubectl gave no answer in {timeout:g} s"
            raise KubectlError(message) from error
        if done.returncode:
            words_of_it = " ".join(done.stderr.split())
            raise KubectlError(words_of_it or f"kubectl ended with {done.returncode}")
        return done.stdout

    def read(self, *words: str) -> dict[str, Any]:
        """Return the object or list that ``kubectl ... --output json`` prints; see ``text``."""
        found: dict[str, Any] = json.loads(self.text(*words, "--output", "json"))
        return found
