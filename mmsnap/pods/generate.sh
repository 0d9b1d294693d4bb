#!/bin/sh
# Writes the Python code of the .proto files beside them. Needs grpcio-tools (extra `dev`).
set -eu
cd "$(dirname "$0")/../.."
"${PYTHON:-.venv/bin/python}" -m grpc_tools.protoc -I . \
    --python_out=. --pyi_out=. --grpc_python_out=. mmsnap/pods/csi.proto mmsnap/pods/registration.proto
