"""What installs the operator: one file for kubectl, and a Helm chart, both of the same objects."""
