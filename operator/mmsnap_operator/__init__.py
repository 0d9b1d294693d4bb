"""The operator: puts the service on a Kubernetes cluster as a MemoryMachine says, and keeps it so.

It stands above all layers and is imported by none. What is to be on the cluster is computed by pure
functions (`schema`, `deployment`); what is there is read and changed by `cluster`; `reconciliation`
and `removal` bring one to the other; `handlers` is the only module that knows kopf.
"""
