"""A node of Kubernetes: its pods come in through a volume of their own, each at a door of its own.

What the node service does for its members is `mmsnap.node`'s; which objects a cluster has for it is
the operator's. Nothing here speaks to the API server: the kubelet and the runtime tell what is
needed.
"""
