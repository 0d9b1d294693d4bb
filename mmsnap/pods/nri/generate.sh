#!/bin/sh
# Writes the Python code of nri.proto and ttrpc.proto beside them. Needs grpcio-tools (extra `dev`).
set -eu
cd "$(dirname "$0")/../../.."
"${PYTHON:-.venv/bin/python}" -m grpc_tools.protoc -I . \
    --python_out=. --pyi_out=. mmsnap/pods/nri/nri.proto mmsnap/pods/nri/ttrpc.proto
