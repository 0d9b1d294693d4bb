"""The fear: a manifest that worked is refused, or a field does nothing and nobody says so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mmsnap_operator import definitions, schema
from mmsnap_operator.configuration import read, with_defaults
from mmsnap_operator.fields import SPEC, STATUS, UNSET, Field
from mmsnap_operator.ignored import ignored, unknown
from mmsnap_operator.reference import reference

MANIFESTS = Path(__file__).parents[2] / "operator" / "manifests"


def paths(field: Field) -> list[str]:
    return [".".join(path) for path, _ in field.leaves()]


def test_every_field_is_honoured_or_has_a_reason_and_never_both() -> None:
    for path, field in SPEC.leaves():
        assert bool(field.honoured) != bool(field.ignored), path


def test_no_field_is_there_twice_and_none_got_lost() -> None:
    assert len(paths(SPEC)) == len(set(paths(SPEC))) == 181
    assert len(paths(STATUS)) == len(set(paths(STATUS))) == 67


def test_status_mirrors_fields_of_the_specification() -> None:
    of_spec = {path.removeprefix("spec.") for path in paths(SPEC)}
    assert {path.removeprefix("status.") for path in paths(STATUS)} <= of_spec


@pytest.mark.parametrize(("path", "field"), [(".".join(p), f) for p, f in SPEC.leaves()])
def test_defaults_keep_the_bounds(path: str, field: Field) -> None:
    if field.default is UNSET:
        return
    bounds = field.bounds or {}
    if field.kind == "integer":
        assert bounds.get("minimum", 0) <= field.default <= bounds.get("maximum", 1 << 31), path
    if "pattern" in bounds:
        assert re.search(bounds["pattern"], field.default), path
    if "enum" in bounds:
        assert field.default in bounds["enum"], path


def test_committed_definitions_are_those_that_the_command_writes() -> None:
    for name, content in definitions.files().items():
        assert (MANIFESTS / name).read_text() == content, "python -m mmsnap_operator crds"


def test_committed_reference_is_what_the_command_writes() -> None:
    committed = MANIFESTS.parents[1] / "docs" / "MEMORYMACHINE.md"
    assert committed.read_text() == reference(), "python -m mmsnap_operator fields"


def test_no_known_field_can_be_pruned_and_no_unknown_one_either() -> None:
    def check(part: dict[str, Any]) -> None:
        if part["type"] == "object":
            assert part["x-kubernetes-preserve-unknown-fields"] is True
            for inner in part["properties"].values():
                check(inner)

    check(schema.specification())


def test_field_that_means_nothing_is_named_with_its_reason() -> None:
    told = ignored({"mvmallocConfig": {"dramCacheMB": 512}, "licenseFromSecret": "mine"})
    assert [line.partition(":")[0] for line in told] == [
        "licenseFromSecret",
        "mvmallocConfig.dramCacheMB",
    ]
    assert all(line.partition(": ")[2] for line in told)


def test_defaults_written_out_are_not_worth_a_word() -> None:
    """The API server writes them into every object."""
    assert ignored(with_defaults(SPEC, {})) == []


def test_what_is_so_anyway_is_not_worth_a_word() -> None:
    assert ignored({"enableSnapshot": True, "mvsvcdConfig": {"Daemonize": False}}) == []
    assert ignored({"mvsvcdConfig": {"Daemonize": True}}) != []


def test_honoured_fields_are_never_called_meaningless() -> None:
    given: dict[str, Any] = {}
    for path, field in SPEC.leaves():
        if not field.honoured:
            continue
        place = given
        for name in path[1:-1]:
            place = place.setdefault(name, {})
        place[path[-1]] = {"integer": 77, "boolean": True, "array": ["x"]}.get(field.kind, "else")
    assert ignored(given) == []
    assert unknown(given) == []


def test_unknown_field_is_named_with_what_was_meant() -> None:
    told = unknown({"mmagentConfig": {"rpcport": 1}, "strange": {"inner": 1}})
    assert told == [
        "mmagentConfig.rpcport (is mmagentConfig.rpcPort meant?)",
        "strange",
    ]


def test_two_names_in_one_field_of_another_case_stay_apart() -> None:
    """LogPath and logPath are both names of fields."""
    assert unknown({"mvcontainerConfig": {"LogPath": "x"}}) == []
    assert unknown({"daemonConfig": {"LogPath": "/x"}}) != []


def test_everything_left_out_is_what_defaults_say() -> None:
    read_empty = read({}, "memverge")
    assert read_empty == read(with_defaults(SPEC, {}), "memverge")
    assert read_empty.image == "ghcr.io/memverge/mmsnap:latest"
    assert read_empty.shared_folder == "/var/memverge"
    assert read_empty.rpc_port == 9527
    assert read_empty.replicas == 1
    assert read_empty.etcd is not None
    assert read_empty.etcd.replicas == 3


def test_null_is_as_if_left_out() -> None:
    nulls = {field.name: None for field in SPEC.children}
    assert read(nulls, "memverge") == read({}, "memverge")


def test_operator_manifest_is_restricted_and_in_the_namespace() -> None:
    objects = list(yaml.safe_load_all((MANIFESTS / "install.yaml").read_text()))
    (deployment,) = [one for one in objects if one["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["livenessProbe"]


def test_operator_may_read_secrets_in_its_own_namespace_only() -> None:
    objects = list(yaml.safe_load_all((MANIFESTS / "install.yaml").read_text()))
    roles = [one for one in objects if one["kind"] == "ClusterRole"]
    (role,) = [one for one in roles if one["metadata"]["name"] == "memory-machine-operator"]
    for rule in role["rules"]:
        assert "secrets" not in rule["resources"]
        assert "*" not in rule["resources"] + rule["verbs"] + rule["apiGroups"]
