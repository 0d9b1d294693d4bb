"""`kubectl mmsnap`: checkpoints, restores, schedules and usage for people who have kubectl.

All of it is objects of the API server, read and written by running the user's own `kubectl`: with
their kubeconfig and their rights, and with no others. It decides nothing about checkpoints, and
loads neither gRPC nor NumPy: a machine that has kubectl needs no node service.
"""
