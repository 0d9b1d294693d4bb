"""The workloads of users: their pods and groups, and making them anew from what they were.

Admission and the controllers both ask here, so that neither refuses what the other would let pass.
"""
