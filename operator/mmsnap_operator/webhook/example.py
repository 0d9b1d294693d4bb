"""`python -m mmsnap_operator.webhook.example [POD.yaml]`: what the webhook would make of a pod.

Needs no cluster: the manifest comes from a file or the standard input, the injected one goes to the
standard output, warnings and the reason of a refusal to the standard error.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import typer
import yaml

from mmsnap_operator.webhook.injection import inject
from mmsnap_operator.webhook.refusals import Refusal
from mmsnap_operator.webhook.settings import Settings

_REFUSED: Final = 1


def show(
    file: Annotated[
        Path, typer.Argument(metavar="POD.yaml", help="A manifest of a pod; - for the input.")
    ] = Path("-"),
    image: Annotated[
        str, typer.Option(help="The product's image, as the MemoryMachine would say.")
    ] = "ghcr.io/memverge/mmsnap:latest",
) -> None:
    """Show what the webhook would make of a pod."""
    text = sys.stdin.read() if file == Path("-") else file.read_text()
    try:
        pod = yaml.safe_load(text)
        namespace = pod["metadata"].get("namespace") or "default"
        injected = inject(pod, namespace, Settings(image))
    except Refusal as refusal:
        typer.echo(f"refused: {refusal}", err=True)
        raise typer.Exit(_REFUSED) from None
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise typer.BadParameter(f"this is no manifest of a pod: {error!r}") from error
    for warning in injected.warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(yaml.safe_dump(injected.pod, sort_keys=False), nl=False)


if __name__ == "__main__":
    typer.run(show)
