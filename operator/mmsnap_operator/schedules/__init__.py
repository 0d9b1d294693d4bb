"""CheckpointSchedule: under a minute a schedule of the agents, else one CheckpointRequest a run."""
