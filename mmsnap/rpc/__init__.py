"""How processes talk to the node service: the wire's messages, errors and addresses.

Shared by both ends. Neither the service nor its client is in here.
"""
