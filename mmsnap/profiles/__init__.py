"""What an application has to do around a cut so that more than a crash's worth of it is kept.

A profile is a row of steps, each with a timeout and an undo. `hazelcast` and `redis` are built in;
`generic` runs commands of the user's, and a file can tell the same at length.
"""

from mmsnap.profiles.choosing import choose
from mmsnap.profiles.profile import NO_PROFILE, Profile, Step

__all__ = ["NO_PROFILE", "Profile", "Step", "choose"]
