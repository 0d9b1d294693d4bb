"""From a CheckpointRequest to a Checkpoint, and what becomes of that until it is deleted."""
