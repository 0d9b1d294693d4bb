"""The part of `mmsnap doctor` that is about unmodified programs."""

from __future__ import annotations

import os
import re

from mmsnap.cli.findings import Finding, Verdict
from mmsnap.errors import UnsupportedError


def programs() -> list[Finding]:
    """Whether programs that know nothing of mmsnap can be checkpointed here."""
    from mmsnap.process import criu, freezer, privileges

    findings = []
    try:
        found = criu.find()
    except UnsupportedError as error:
        findings.append(Finding("CRIU", Verdict.ABSENT, error.message, error.hint))
    else:
        version = ".".join(map(str, found.version))
        findings.append(Finding("CRIU", Verdict.OK, f"{version}, {found.criu.program}"))
        if os.geteuid() == 0:
            findings.append(_kernel(found.check()))
    versions = freezer.mounted_versions()
    if versions:
        told = " and ".join(f"cgroup v{version}" for version in versions)
        findings.append(Finding("cgroup freezer", Verdict.OK, told))
    else:
        advice = "mount cgroup2, or the freezer of cgroup v1"
        findings.append(Finding("cgroup freezer", Verdict.ABSENT, "not mounted", advice))
    if os.geteuid() != 0:
        findings.append(
            Finding(
                "unmodified programs",
                Verdict.ABSENT,
                "not as this user",
                "mmsnap run --engine process needs root",
            )
        )
    elif not privileges.can_reach_other_users():
        findings.append(
            Finding(
                "programs of other users",
                Verdict.ABSENT,
                "root has no CAP_SYS_RESOURCE",
                "only programs that run as root can be checkpointed; add it to the container",
            )
        )
    return findings


def _kernel(told: str) -> Finding:
    """What CRIU says of the kernel, without what mmsnap does not use."""
    lacking = re.findall(r"(?:Warn|Error) +\([^)]*\): (.*)", told)
    unused = ("Dirty tracking", "kdat cache", "RLIMIT_NOFILE")
    counted = [line.strip() for line in lacking if not any(word in line for word in unused)]
    if not counted:
        return Finding("the kernel, for CRIU", Verdict.OK, "has what it needs")
    return Finding("the kernel, for CRIU", Verdict.ABSENT, "; ".join(counted), "see CRIU's manual")
