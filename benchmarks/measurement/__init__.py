"""What the benchmarks share: how a figure is taken, compared and shown.

Each script beside this package answers one question; nothing here is part of mmsnap.
"""
