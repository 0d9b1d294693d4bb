"""The demo: real flights stream through a group of processes that are killed and restored.

It shows that a group checkpoint is one cut: the sums afterwards equal those of a run that nobody
disturbed, and those of processes that were checkpointed one by one do not. It is a program like any
user's: it uses the SDK and the command `mmsnap agent`, and nothing below them.
"""
