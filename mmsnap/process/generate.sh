#!/bin/sh
# Writes the Python code of criu_images.proto beside it. Needs grpcio-tools (extra `dev`).
set -eu
cd "$(dirname "$0")/../.."
"${PYTHON:-.venv/bin/python}" -m grpc_tools.protoc -I . \
    --python_out=. --pyi_out=. mmsnap/process/criu_images.proto
