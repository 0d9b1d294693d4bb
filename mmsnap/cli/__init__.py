"""The command line: what people type.

It reads arguments, asks the service or a pool, shows the answer and turns errors into exit codes.
It decides nothing about checkpoints, and loads gRPC, NumPy and rich only in the commands that
need them, so that help comes at once.
"""
