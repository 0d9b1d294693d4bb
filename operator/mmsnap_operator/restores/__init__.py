"""A RestoreRequest carried out: in place, into new pods, or as a second workload."""
