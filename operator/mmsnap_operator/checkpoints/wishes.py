"""Whether a checkpoint can be, or is, what a request asks for: decided without asking anybody.

What is asked for is a minimum. Nothing here makes it less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from mmsnap_operator.workloads.pods import PodMember
from mmsnap_operator.workloads.refusals import Refused
from mmsnap_sdk.service_records import GroupCheckpoint, GroupMemberCheckpoint, Member

_CONSISTENCIES: Final = ("crash", "application")
_DURABILITIES: Final = ("captured", "durable", "replicated")
_KUBELET: Final = "kubelet"


def require_possible(spec: Mapping[str, Any], members: Sequence[PodMember]) -> None:
    """Refused, when these members can not give what is asked for, however long one waits."""
    engine = spec.get("engine")
    if engine == _KUBELET:
        raise Refused(
            "EngineUnavailable",
            "checkpoints by the kubelet's own API are not made: leave engine out, and the members "
            "are captured by what they run",
        )
    for member in members:
        where = f"container {member.container} of pod {member.pod}"
        if engine is not None and member.engine != engine:
            raise Refused(
                "EngineMismatch",
                f"{where} runs the engine {member.engine}, not {engine}: annotate the pods with "
                f"memory-machine.memverge.com/engine: {engine}, or ask for {member.engine}",
            )
        runs = f"the profile {member.profile}" if member.profile else "no profile"
        if "profile" in spec and member.engine == "process" and member.profile != spec["profile"]:
            raise Refused(
                "ProfileMissing",
                f"{where} runs {runs}, "
                f"and not {spec['profile']}: annotate the pods with "
                f"memory-machine.memverge.com/profile: {spec['profile']}",
            )
        bare = member.engine == "process" and not member.profile
        if spec["consistency"] == "Application" and bare:
            raise Refused(
                "ConsistencyUnmet",
                f"{where} is a program that knows nothing of cuts, and has no profile that stands "
                "in for it: it can be stopped at any instruction (consistency Crash)",
            )


def attached(members: Sequence[PodMember], known: Sequence[Member]) -> list[PodMember]:
    """The members with the engine that they really have; Refused for the time being without all.

    A program that attaches by itself is one of the engine memory, whatever its pod says.
    """
    engines = {one.member: one.engine for one in known if one.state == "attached"}
    missing = [one.name for one in members if one.name not in engines]
    if missing:
        raise Refused(
            "MembersNotAttached",
            f"not attached to their agents: {', '.join(missing)}",
            lasting=False,
            awaited=missing,
        )
    return [replace(one, engine=engines[one.name]) for one in members]


def shortfall(
    spec: Mapping[str, Any], taken: GroupCheckpoint, wanted: Sequence[str] = ()
) -> Refused | None:
    """What a checkpoint lacks of what was asked for, and of the wanted members; None: nothing."""
    there = {part.member for part in taken.members}
    missing = [member for member in wanted if member not in there]
    if missing:
        return Refused(
            "MembersMissing",
            f"checkpoint {taken.name} is without {', '.join(missing)}: they were there when it was "
            "begun, and left before the cut",
        )
    if _is_less(_CONSISTENCIES, taken.consistency, spec["consistency"]):
        torn = [part.member for part in parts_of(taken) if part.crash_only]
        return Refused(
            "ConsistencyUnmet",
            f"checkpoint {taken.name} is of consistency Crash: something was written outside of "
            f"an update, or a hook was left out, in {', '.join(torn) or 'some member'}",
        )
    if not is_durable_enough(spec, taken):
        return Refused(
            "DurabilityUnmet",
            f"checkpoint {taken.name} is {taken.durability.capitalize()} and did not become "
            f"{spec['durability']} in time; the agents go on working on it",
        )
    return None


def is_consistent_enough(spec: Mapping[str, Any], reached: str) -> bool:
    """Whether this consistency is what was asked for, or more."""
    return not _is_less(_CONSISTENCIES, reached, spec.get("consistency", "Crash"))


def is_durable_enough(spec: Mapping[str, Any], taken: GroupCheckpoint) -> bool:
    """Whether it survives as much as was asked for."""
    return not _is_less(_DURABILITIES, taken.durability, spec["durability"])


def is_enough(spec: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    """The same of a Checkpoint, by its status."""
    durability, wanted = status.get("durability", "Captured"), spec.get("durability", "Captured")
    return is_consistent_enough(spec, status.get("consistency", "Crash")) and not _is_less(
        _DURABILITIES, durability, wanted
    )


def parts_of(taken: GroupCheckpoint) -> list[GroupMemberCheckpoint]:
    """The members' parts, with all that the service says of them."""
    return [part for part in taken.members if isinstance(part, GroupMemberCheckpoint)]


def replicas_of(spec: Mapping[str, Any]) -> int:
    """Copies to ask for; 0: as many as the agents make by themselves."""
    least = 1 if spec["durability"] == "Replicated" else 0
    return max(int(spec.get("replicas", 0)), least)


def _is_less(scale: Sequence[str], reached: str, wanted: str) -> bool:
    return scale.index(reached.lower()) < scale.index(wanted.lower())
