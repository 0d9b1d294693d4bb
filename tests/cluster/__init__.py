"""A real Kubernetes on this machine, for tests: one to three nodes, each in namespaces of its own.

Every component is the real one, built from its Go module at a pinned version. The machine itself
is left as it is: what a node mounts, routes and writes stays inside its namespaces and in the
cluster's folder. Only for root, on Linux. See README.md for how to look around by hand.
"""
