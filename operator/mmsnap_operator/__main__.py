"""`python -m mmsnap_operator`: run the operator, or write its manifests and reference."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class LogLevel(StrEnum):
    """How much the operator tells."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


application = typer.Typer(no_args_is_help=True, help="The operator of mmsnap on Kubernetes.")


@application.command()
def crds(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write them.")] = Path(
        "operator/manifests"
    ),
) -> None:
    """Write the custom resource definitions, one file each."""
    from mmsnap_operator.definitions import write

    for path in write(folder):
        typer.echo(path)


@application.command()
def fields(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.")] = Path(
        "docs/MEMORYMACHINE.md"
    ),
) -> None:
    """Write the reference of a MemoryMachine's fields."""
    from mmsnap_operator.reference import reference

    file.write_text(reference())
    typer.echo(file)


@application.command()
def install(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write them.")] = Path(
        "operator/manifests"
    ),
) -> None:
    """Write install.yaml, and what OpenShift needs besides."""
    from mmsnap_operator.installation.manifest import write

    for path in write(folder):
        typer.echo(path)


@application.command()
def chart(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write it.")] = Path(
        "operator/chart"
    ),
) -> None:
    """Write the Helm chart."""
    from mmsnap_operator.installation.chart import write

    for path in write(folder):
        typer.echo(path)


@application.command()
def run(
    health: Annotated[
        str, typer.Option(metavar="URL", help="Where to say that it lives.")
    ] = "http://0.0.0.0:8080/healthz",
    namespace: Annotated[
        str,
        typer.Option(
            metavar="NAME", envvar="POD_NAMESPACE", help="Where MemoryMachines are honoured."
        ),
    ] = "memverge",
    kubelet_folder: Annotated[
        str, typer.Option(metavar="DIR", help="The --root-dir of the nodes' kubelets.")
    ] = "/var/lib/kubelet",
    nri_folder: Annotated[
        str, typer.Option(metavar="DIR", help="Where containerd has its socket for plugins.")
    ] = "/var/run/nri",
    log_level: Annotated[
        LogLevel, typer.Option(metavar="LEVEL", help="debug, info, warning or error.")
    ] = LogLevel.INFO,
) -> None:
    """Keep the cluster as its MemoryMachines say, until SIGTERM."""
    from mmsnap_operator.running import run as run_operator
    from mmsnap_operator.surroundings import Surroundings

    run_operator(health, Surroundings(namespace, kubelet_folder, nri_folder), log_level.upper())


if __name__ == "__main__":
    application()
