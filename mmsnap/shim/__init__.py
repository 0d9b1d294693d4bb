"""The shim: what stays the parent of an unmodified program, and is the member in its place.

`mmsnap run --engine process` is this. It starts the program in namespaces and a freezer of its own,
obeys the node service as a library thread would in a program that uses mmsnap's memory, and lets
the engine below (`mmsnap.process`) do what it is ordered. It survives the service, and thaws its
program when the lease ends.
"""
