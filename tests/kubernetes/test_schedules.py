"""The fear: pods that are checkpointed every second come back without their state, a schedule takes
what a restore needs, or fills the pool, or goes on after it was deleted."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.waiting import eventually
from tests.kubernetes.asking import Asking
from tests.kubernetes.pods_site import ASKED, IMAGE, PYTHON, RESTRICTED, PodsSite, pods_site
from tests.kubernetes.workloads import create

pytestmark = pytest.mark.timeout(900)

PLACE: Final = "schedules"
GROUP: Final = f"{PLACE}--count"
PODS: Final = ("count-0", "count-1")
API: Final = "mm.memverge.com/v1alpha1"
# Counts in all of its memory, and says where it began and to where it went back.
_COUNTING: Final = """
import mmsnap, numpy, sys, time
app = mmsnap.attach(size="64MiB")
with app.update():
    cells = app.array("cells", (1 << 18,), numpy.int64)
def whole():
    assert cells.min() == cells.max(), "torn"
    return int(cells[0])
def say(words):
    sys.stdout.write(f"{words}\\n")  # a line at once, whichever thread it is
    sys.stdout.flush()
app.after_restore(lambda to: say(f"back {int(cells[0])}"))
say(f"began {whole()}")
while True:
    with app.update():
        cells += 1
        n = int(cells[0])
    say(n)
    time.sleep(0.1)
"""


@pytest.fixture(scope="module")
def site(cluster: Cluster) -> Iterator[PodsSite]:
    with pods_site(cluster) as made:
        made.namespace(PLACE)
        create(made.cluster, PLACE, stateful_set())
        for pod in PODS:
            eventually(lambda pod=pod: last(made, pod) > 0, f"{pod} to count", seconds=120)
        yield made
        made.cluster.kubectl("delete", "namespace", PLACE, "--timeout=90s", seconds=120)


def stateful_set() -> dict[str, Any]:
    labels = {"app": "count"}
    container = {
        "name": "main", "image": IMAGE, "command": [PYTHON, "-c", _COUNTING],
        "securityContext": RESTRICTED,
    }  # fmt: skip
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "count"},
        "spec": {
            "replicas": len(PODS),
            "serviceName": "count",
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": ASKED},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
            },
        },
    }


def made(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec}


def set_schedule(site: PodsSite, name: str, **spec: Any) -> None:
    template = {"spec": {"source": {"kind": "StatefulSet", "name": "count"}}}
    create(site.cluster, PLACE, made("CheckpointSchedule", name, template=template, **spec))


def status(site: PodsSite, name: str, kind: str = "checkpointschedule") -> dict[str, Any]:
    found: dict[str, Any] = site.cluster.get(kind, name, "-n", PLACE).get("status") or {}
    return found


def ready(site: PodsSite, name: str) -> tuple[str, str]:
    told = status(site, name).get("conditions") or [{"status": "", "reason": ""}]
    return told[0]["status"], told[0]["reason"]


@contextmanager
def reasons(site: PodsSite, name: str) -> Iterator[list[str]]:
    """Of all that its Ready was meanwhile, also for a moment; there when it is over."""
    what = ("get", "checkpointschedule", name, "-n", PLACE, "--watch", "-o")
    shown = 'jsonpath={.status.conditions[0].reason}{"\\n"}'
    told: list[str] = []
    with tempfile.TemporaryFile("w+") as output:
        watching = subprocess.Popen(site.cluster.kubectl_command(*what, shown), stdout=output)
        try:
            yield told
        finally:
            watching.terminate()
            watching.wait()
            output.seek(0)
            told.extend(output.read().split())


def said(site: PodsSite, pod: str, *words: str) -> list[str]:
    return site.cluster.logs(pod, "-c", "main", *words, namespace=PLACE).splitlines()


def last(site: PodsSite, pod: str) -> int:
    """What it counted to; 0: nothing is known."""
    with suppress(subprocess.SubprocessError):
        told = said(site, pod, "--tail=1")
        if told and told[0].isdecimal():
            return int(told[0])
    return 0


def went_back(site: PodsSite, pod: str) -> list[int]:
    """To what, each time."""
    told = (line.split() for line in said(site, pod) if line.startswith("back"))
    return [int(number) for _, number in told]


def uid(site: PodsSite, pod: str) -> str:
    return str(site.cluster.get("pod", pod, "-n", PLACE)["metadata"]["uid"])


def taken(site: PodsSite) -> list[dict[str, Any]]:
    """What the catalog has of the schedules, oldest first."""
    told = json.loads(site.mmsnap("checkpoint", "list", GROUP, "-o", "json"))
    return [one for one in told if f"{API.split('/')[0]}/schedule" in one["labels"]]


def objects(site: PodsSite, kind: str) -> list[dict[str, Any]]:
    told = site.cluster.kubectl("get", kind, "-n", PLACE, "-o", "json")
    found: list[dict[str, Any]] = json.loads(told)["items"]
    return found


def delete(site: PodsSite, name: str) -> None:
    words = ("delete", "checkpointschedule", name, "-n", PLACE, "--timeout=60s")
    site.cluster.kubectl(*words, seconds=90)


def test_pods_killed_by_force_come_back_from_the_last_second(site: PodsSite) -> None:
    set_schedule(site, "often", interval="1s", retention={"keepLast": 5})
    eventually(lambda: len(taken(site)) >= 3, "three of them", seconds=60)
    eventually(lambda: ready(site, "often") == ("True", "Running"), "it to be told")
    seen = {pod: last(site, pod) for pod in PODS}
    site.cluster.kubectl(
        *("delete", "pod", *PODS, "-n", PLACE, "--force", "--grace-period=0"), seconds=120
    )
    began = {}
    for pod in PODS:
        eventually(lambda pod=pod: last(site, pod) > 0, f"{pod} to count again", seconds=120)
        first = said(site, pod)[0]
        assert first.startswith("began "), first
        began[pod] = int(first.split()[1])
        # Ten a second; some seconds more on a busy machine, and none that was never written.
        assert seen[pod] - 50 < began[pod], (seen, began)
    before = status(site, "often")["lastCheckpointName"]
    eventually(
        lambda: (
            status(site, "often")["lastCheckpointName"] != before
            and status(site, "often")["consecutiveFailures"] == 0
        ),
        "it to go on",
        seconds=60,
    )
    # A run in its turn has one more; objects there are none.
    eventually(lambda: len(taken(site)) <= 6, "the older ones to go")
    assert objects(site, "checkpoints") == objects(site, "checkpointrequests") == []


def test_a_restore_while_the_schedule_runs_is_not_disturbed(site: PodsSite) -> None:
    request = made("CheckpointRequest", "keep", source={"kind": "StatefulSet", "name": "count"})
    create(site.cluster, PLACE, request)
    site.cluster.wait_for(
        "checkpointrequest/keep", "condition=Complete", namespace=PLACE, seconds=60
    )
    name = status(site, "keep", "checkpointrequest")["checkpointName"]
    counted = last(site, PODS[0])
    # Longer than what retention keeps: it is not the schedule's, and stays.
    eventually(lambda: last(site, PODS[0]) > counted + 70, "seven seconds", seconds=60)
    for number, source in enumerate(({"checkpointName": name}, {"scheduleName": "often"})):
        restore = made(
            "RestoreRequest",
            f"back-{number}",
            source=source,
            strategy="InPlace",
            target={"kind": "StatefulSet", "name": "count"},
        )
        backs = len(went_back(site, PODS[0]))
        create(site.cluster, PLACE, restore)
        site.cluster.wait_for(
            f"restorerequest/back-{number}", "condition=Complete", namespace=PLACE, seconds=90
        )
        eventually(lambda backs=backs: len(went_back(site, PODS[0])) > backs, "it to be told")
        told = went_back(site, PODS[0])
        assert len(told) == backs + 1, "once, and by nobody else"
        if "checkpointName" in source:
            assert told[-1] <= counted + 30
    before = status(site, "often")["lastCheckpointName"]
    eventually(
        lambda: (
            status(site, "often")["lastCheckpointName"] != before
            and ready(site, "often") == ("True", "Running")
        ),
        "it to go on",
        seconds=60,
    )
    assert all(site.restarts(PLACE, pod) == 0 for pod in PODS)


def test_a_recreation_while_the_schedule_runs_begins_where_it_is_to(site: PodsSite) -> None:
    """The fear: a checkpoint of half of the new pods becomes what the other half begin from."""
    name = status(site, "keep", "checkpointrequest")["checkpointName"]
    kept = {pod: went_back(site, pod)[0] for pod in PODS}
    before = status(site, "often")["lastCheckpointName"]
    pods = {pod: uid(site, pod) for pod in PODS}
    restore = made(
        "RestoreRequest",
        "anew",
        source={"checkpointName": name},
        strategy="Recreate",
        target={"kind": "StatefulSet", "name": "count"},
    )
    with reasons(site, "often") as told:
        create(site.cluster, PLACE, restore)
        site.cluster.wait_for(
            "restorerequest/anew", "condition=Complete", namespace=PLACE, seconds=180
        )
    assert "Suspended" in told, "it gave way to the restore"
    after = {pod: uid(site, pod) for pod in PODS}
    assert not set(after.values()) & set(pods.values()), "all of them are new"
    for pod in PODS:
        began = int(said(site, pod)[0].removeprefix("began "))
        # The first restore was told when the pod had counted on already.
        assert kept[pod] - 50 < began <= kept[pod], pod
    eventually(
        lambda: (
            status(site, "often")["lastCheckpointName"] != before
            and ready(site, "often") == ("True", "Running")
        ),
        "it to go on",
        seconds=60,
    )
    assert len(taken(site)[-1]["members"]) == len(PODS)


def test_it_is_suspended_set_again_when_changed_by_hand_and_ends_with_its_object(
    site: PodsSite,
) -> None:
    def patch(**spec: Any) -> None:
        words = ("patch", "checkpointschedule", "often", "-n", PLACE, "--type=merge")
        site.cluster.kubectl(*words, "-p", json.dumps({"spec": spec}))

    patch(suspend=True)
    eventually(lambda: ready(site, "often") == ("True", "Suspended"), "it to be suspended")
    before = taken(site)
    counted = last(site, PODS[0])
    eventually(lambda: last(site, PODS[0]) > counted + 30, "three seconds", seconds=60)
    assert taken(site) == before
    patch(suspend=False)
    site.mmsnap("schedule", "off", GROUP)
    eventually(lambda: taken(site) != before, "it to be set again", seconds=60)
    patch(interval="5m")
    eventually(
        lambda: json.loads(site.mmsnap("schedule", "show", "-o", "json")) == [],
        "the agents to keep it no more",
    )
    assert objects(site, "checkpointrequests")[1:] == [], "the first is not due yet"
    patch(interval="2s")
    eventually(
        lambda: json.loads(site.mmsnap("schedule", "show", "-o", "json")), "them to keep it again"
    )
    delete(site, "often")
    assert json.loads(site.mmsnap("schedule", "show", "-o", "json")) == []


def test_longer_ones_make_a_request_a_run_and_keep_the_last(site: PodsSite) -> None:
    set_schedule(site, "seldom", interval="1m", retention={"keepLast": 2})
    eventually(lambda: "nextTime" in status(site, "seldom"), "it to be looked at")
    assert objects(site, "checkpointrequests")[1:] == []
    names: list[str] = []
    for _ in range(3):
        _make_due(site, "seldom")
        eventually(
            lambda: status(site, "seldom").get("lastCheckpointName") not in (None, *names),
            "a run",
            seconds=60,
        )
        names.append(status(site, "seldom")["lastCheckpointName"])
    own = [one for one in objects(site, "checkpointrequests") if one["metadata"]["name"] != "keep"]
    assert len(own) == 3, "what was missed is one run"

    def left() -> set[str]:
        found = objects(site, "checkpoints")
        return {one["metadata"]["name"] for one in found} & set(names)

    eventually(lambda: left() == set(names[1:]), "the oldest to go", seconds=60)
    gone = names[0].removeprefix("count-")
    eventually(lambda: gone not in [one["name"] for one in taken(site)], "its bytes to go")
    assert status(site, "seldom")["consecutiveFailures"] == 0
    delete(site, "seldom")
    assert left() == set(names[1:]), "Checkpoints outlive their schedule"


def test_cron_in_a_time_zone_says_when_and_what_is_wrong_is_told(site: PodsSite) -> None:
    set_schedule(site, "nightly", schedule="30 3 * * *", timeZone="Asia/Kolkata")
    eventually(lambda: status(site, "nightly").get("nextTime", "")[11:16] == "22:00", "next")
    asking = Asking(site, PLACE)
    template = {"spec": asking.take("count")}
    told = asking.refused("CheckpointSchedule", {"template": template, "schedule": "61 * * * *"})
    assert "says no time" in told
    changed = ("patch", "checkpointschedule", "nightly", "-n", PLACE, "--type=merge", "-p")
    wrong = json.dumps({"spec": {"timeZone": "Europe/Atlantis"}})
    refusal = subprocess.run(
        site.cluster.kubectl_command(*changed, wrong), capture_output=True, text=True, timeout=60
    )
    assert refusal.returncode
    assert "there is no time zone Europe/Atlantis" in refusal.stderr
    site.cluster.kubectl(*changed, json.dumps({"spec": {"timeZone": "Europe/Berlin"}}))
    delete(site, "nightly")


def _make_due(site: PodsSite, name: str) -> None:
    """As if nobody had looked for an hour, which has passed now."""
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    then = {"status": {"lastScheduleTime": f"{long_ago:%Y-%m-%dT%H:%M:%SZ}"}}
    words = ("patch", "checkpointschedule", name, "-n", PLACE, "--subresource=status")
    site.cluster.kubectl(*words, "--type=merge", "-p", json.dumps(then))
