"""What installs the operator: the committed files, the chart, and the rights in them.

The fear: that a chart installs something else than the manifest, that somebody edits a file that is
written, and that a right is given to more than it is for.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from mmsnap_operator.configuration import read
from mmsnap_operator.definitions import defined
from mmsnap_operator.installation import chart, manifest
from mmsnap_operator.installation.settings import VERSION, Installation

OPERATOR = Path(__file__).parents[2] / "operator"
EXPRESSION = re.compile(r"{{ toJson \.Values\.([A-Za-z]+) }}")
KEPT = {"helm.sh/resource-policy": "keep"}

Manifest = dict[str, Any]


def identity(one: Manifest) -> tuple[str, str, str]:
    metadata = one["metadata"]
    return one["kind"], metadata.get("namespace", ""), metadata["name"]


def objects_of(text: str) -> dict[tuple[str, str, str], Manifest]:
    return {identity(one): one for one in yaml.safe_load_all(text) if one}


def rendered(name: str, **changed: Any) -> str:
    """A template by Helm where that is installed, else as Helm does it with the one form of
    expression that there is; no other may be there."""
    if shutil.which("helm"):
        return by_helm(name, changed)
    values = yaml.safe_load(chart.files()["values.yaml"]) | changed
    text = EXPRESSION.sub(lambda found: json.dumps(values[found[1]]), chart.files()[name])
    text = text.removeprefix("{{- if .Values.openshift }}\n").removesuffix("{{- end }}\n")
    assert "{{" not in text
    return text


def by_helm(name: str, changed: Manifest) -> str:
    with_openshift = json.dumps({"openshift": True, **changed})
    return subprocess.run(
        f"helm template any chart --kube-version 1.34.0 --show-only {name} --values -".split(),
        cwd=OPERATOR,
        input=with_openshift,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


@pytest.fixture(scope="module")
def installed() -> dict[tuple[str, str, str], Manifest]:
    return objects_of((OPERATOR / "manifests/install.yaml").read_text())


def test_committed_files_are_what_the_source_gives() -> None:
    """After a change: python -m mmsnap_operator install, and chart."""
    for name, text in manifest.files(Installation()).items():
        assert (OPERATOR / "manifests" / name).read_text() == text, name
    for name, text in chart.files().items():
        assert (OPERATOR / "chart" / name).read_text() == text, name


def test_chart_installs_the_same_as_the_manifest(
    installed: dict[tuple[str, str, str], Manifest],
) -> None:
    made = objects_of(rendered("templates/install.yaml"))
    for one in made.values():
        if one["kind"] in ("CustomResourceDefinition", "Namespace"):
            annotations = one["metadata"].pop("annotations")
            rest = {key: value for key, value in annotations.items() if key not in KEPT}
            assert annotations == rest | KEPT
            if rest:
                one["metadata"]["annotations"] = rest
    assert made == installed


def test_chart_for_openshift_makes_the_same_as_the_file() -> None:
    assert objects_of(rendered("templates/openshift.yaml")) == objects_of(
        (OPERATOR / "manifests/openshift.yaml").read_text()
    )


def test_every_value_of_the_chart_is_used_and_reaches_the_objects() -> None:
    values = set(yaml.safe_load(chart.files()["values.yaml"])) - {"openshift"}
    assert set(EXPRESSION.findall(chart.files()["templates/install.yaml"])) == values
    resources = {"requests": {"cpu": 2, "memory": "1Gi"}, "limits": {"memory": "2Gi"}}
    wanted = Installation("i:1", "elsewhere", "/k", "/n", "debug", resources)
    changed = {
        "image": "i:1",
        "namespace": "elsewhere",
        "kubeletFolder": "/k",
        "nriFolder": "/n",
        "logLevel": "debug",
        "resources": resources,
    }
    mine = objects_of(rendered("templates/install.yaml", **changed))
    theirs = objects_of(manifest.files(wanted)["install.yaml"])
    assert mine.keys() == theirs.keys()
    deployment = ("Deployment", "elsewhere", "memory-machine-operator")
    assert mine[deployment] == theirs[deployment]


def test_a_value_can_not_become_more_than_a_value() -> None:
    evil = "x\"\n      hostPID: true # {{ fail }} '"
    text = EXPRESSION.sub(
        lambda found: json.dumps(evil if found[1] == "image" else "y"),
        chart.files()["templates/install.yaml"],
    )
    (deployment,) = [one for one in yaml.safe_load_all(text) if one["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == evil
    assert "hostPID" not in pod


def test_release_is_named_wherever_its_image_is() -> None:
    """An upgrade is another tag: with `latest` everywhere none would replace a pod."""
    project = tomllib.loads((OPERATOR.parent / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
    assert Installation().image == f"ghcr.io/memverge/mmsnap:{VERSION}"
    machine = yaml.safe_load((OPERATOR / "manifests/memorymachine.yaml").read_text())
    assert read(machine["spec"], "memverge").image == Installation().image
    pod = yaml.safe_load((OPERATOR.parent / "tutorials/first-pod/pod.yaml").read_text())
    assert [one["image"] for one in pod["spec"]["containers"]] == [Installation().image]
    readme = (OPERATOR.parent / "README.md").read_text()
    assert set(re.findall(r"/mmsnap:([\w.-]+)", readme)) == {VERSION}


def test_uninstalling_deletes_what_waits_for_the_operator_before_the_operator() -> None:
    """A kind that is forgotten would hang, with its namespaces, as soon as there is one of it."""
    plurals = {one["spec"]["names"]["plural"] for one in defined()}
    header = re.findall(r"^# (.*)$", manifest.files(Installation())["install.yaml"], re.MULTILINE)
    notes = chart.files()["templates/NOTES.txt"].splitlines()
    for lines, last in ((header, "kubectl delete -f install.yaml"), (notes, "helm uninstall")):
        machines, objects, operator = [line.strip() for line in lines if line.startswith("  ")]
        assert machines == "kubectl delete memorymachines -A --all"
        deleted = objects.removeprefix("kubectl delete ").removesuffix(" -A --all").split(",")
        assert {*deleted, "memorymachines"} == plurals
        assert deleted[0] == "checkpointschedules"
        assert operator.startswith(last)


def test_no_rule_has_a_wildcard(installed: dict[tuple[str, str, str], Manifest]) -> None:
    rules = [
        rule
        for (kind, _, _), one in installed.items()
        if kind in ("ClusterRole", "Role")
        for rule in one["rules"]
    ]
    assert len(rules) > 20
    assert not [rule for rule in rules if "*" in json.dumps(rule)]


def test_each_role_of_people_may_what_the_one_before_it_may(
    installed: dict[tuple[str, str, str], Manifest],
) -> None:
    def granted(name: str) -> set[tuple[str, str]]:
        role = installed["ClusterRole", "", f"memory-machine-{name}"]
        return {
            (resource, verb)
            for rule in role["rules"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }

    viewer, editor, admin = map(granted, ("viewer", "editor", "admin"))
    assert viewer < editor < admin
    assert {verb for _, verb in viewer} == {"get", "list", "watch"}
    # A checkpoint that somebody wrote himself could claim to be another's.
    assert not {("checkpoints", "create")} & admin
    assert not {("checkpoints", "patch"), ("checkpoints", "update")} & editor
    assert not {resource for resource, _ in admin if "/" in resource}


def test_what_would_lose_checkpoints_stays_when_the_chart_is_uninstalled() -> None:
    for one in objects_of(rendered("templates/install.yaml")).values():
        keeps = one["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == "keep"
        assert keeps == (one["kind"] in ("CustomResourceDefinition", "Namespace"))
