"""The service of one machine: gRPC for clients, packets for members, one pool.

It owns the pool's catalog and drives the group protocol. What a member does
when it is told to is the C core's; what a checkpoint of a group means is
mmsnap.group's.
"""
