"""Which cluster and namespace a command is about: the options that kubectl has, on every command.

A plugin does not get the options that stand before its name, so each command has them itself; they
may stand before it, too (`kubectl mmsnap -n demo list`), and go through to kubectl as they are.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, MutableMapping
from typing import Annotated, Any, Final, get_type_hints

import typer

from mmsnap_kubectl.kubectl import Kubectl

Namespace = Annotated[
    str | None,
    typer.Option("-n", "--namespace", metavar="NAME", help="By default the context's."),
]
Context = Annotated[
    str | None, typer.Option("--context", metavar="NAME", help="The kubeconfig's context.")
]
Kubeconfig = Annotated[
    str | None, typer.Option("--kubeconfig", metavar="FILE", help="By default as kubectl's.")
]

_OPTIONS: Final[dict[str, Any]] = {
    "namespace": Namespace,
    "context": Context,
    "kubeconfig": Kubeconfig,
}
_given: Final[MutableMapping[str, str]] = {}


def commands(about: str | None = None) -> typer.Typer:
    """A group of commands."""
    told: dict[str, Any] = {} if about is None else {"help": about}
    made = typer.Typer(
        **told,
        no_args_is_help=True,
        # Plain help: loading rich would double the time that it takes.
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    if about is not None:
        made.callback()(on_cluster(_told_by_its_help))
    return made


def on_cluster(command: Callable[..., None]) -> Callable[..., None]:
    """The command with these options, which `cluster()` knows when it runs."""
    hints = get_type_hints(command, include_extras=True)
    own = [
        parameter.replace(annotation=hints[parameter.name])
        for parameter in inspect.signature(command).parameters.values()
    ]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
        for name, option in _OPTIONS.items()
    ]

    @functools.wraps(command)
    def with_cluster(**given: Any) -> None:
        for name in _OPTIONS:
            value = given.pop(name)
            if value:  # the command's own stands before what its group was given
                _given[name] = value
        command(**given)

    with_cluster.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
    with_cluster.__annotations__ = {**hints, **_OPTIONS}
    return with_cluster


def cluster() -> Kubectl:
    """The cluster, as the options of the command that runs say."""
    return _kubectl(_given)


def cluster_of(context: typer.Context) -> Kubectl:
    """The same for a command that is being completed, and does not run."""
    given: dict[str, str] = {}
    place: Any = context
    while place is not None:
        told = {name: place.params.get(name) for name in _OPTIONS}
        given = {**{name: value for name, value in told.items() if value}, **given}
        place = place.parent
    return _kubectl(given)


def _told_by_its_help() -> None:
    """A group of commands does nothing itself."""


def _kubectl(given: MutableMapping[str, str]) -> Kubectl:
    others = tuple(f"--{name}={value}" for name, value in given.items() if name != "namespace")
    return Kubectl(given.get("namespace", ""), others)
