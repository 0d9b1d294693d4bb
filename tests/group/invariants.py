"""What must hold after any group operation, whatever the network and the members did."""

from mmsnap.group import CheckpointOperation, RestoreOperation
from tests.group.world import World


def judge_checkpoint(world: World, operation: CheckpointOperation) -> None:
    """All or none, one instant, and everybody released."""
    epoch = operation.epoch
    members = [world.members[name] for name in operation.members]
    recorded = epoch in world.recorded
    assert world.finished is not None, "no result"
    assert world.finished.committed == recorded, "the result is not what the catalog says"
    for member in members:
        if epoch in member.held_until:
            assert all(epoch in other.cut_at for other in members), "resumed before all had cut"
            last_cut = max(other.cut_at[epoch] for other in members)
            assert member.held_until[epoch] >= last_cut, "resumed before all had cut"
        if recorded:
            assert epoch in member.held_until, f"committed without the seal of {member.name}"
            assert epoch not in member.thawed_at, f"committed with the void cut of {member.name}"
        else:
            assert epoch not in member.committed, f"{member.name} applied what nobody recorded"
    world.settle()
    for member in members:
        assert (epoch in member.committed) == recorded, f"{member.name} has it, others have not"
        assert not (member.alive and member.held), f"{member.name} was left held"


def judge_restore(world: World, operation: RestoreOperation, head_before: int) -> None:
    """Nobody moves before the record, everybody connected after it, together."""
    epoch = operation.epoch
    recorded = epoch in world.recorded
    assert world.finished is not None, "no result"
    assert world.finished.committed == recorded, "the result is not what the catalog says"
    assert world.head == (operation.target if recorded else head_before)
    for member in (world.members[name] for name in operation.members):
        if member.restored is not None:
            assert recorded, f"{member.name} moved, the head did not"
            assert member.restored_at >= world.recorded_at, f"{member.name} moved before the head"
        if member.alive and member.connected:
            assert not member.held, f"{member.name} was left held"
            if recorded:
                assert member.restored == operation.target, f"{member.name} stayed behind"
        if epoch in member.held_until and recorded:
            late = [
                other.name
                for other in world.members.values()
                if other.connected and other.alive and other.restored_at > member.held_until[epoch]
            ]
            assert not late, f"{member.name} ran on before {late} had followed"
