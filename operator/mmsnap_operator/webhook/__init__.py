"""The mutating webhook: makes members of the pods that asked for it.

What is added to a pod is a pure function of the pod (`injection`); `review` and `server` answer the
API server, `rotation` and `registration` say what certificates and what registration there are to
be, and `upkeep` brings them about. docs/INJECTION.md says the same to users.
"""
