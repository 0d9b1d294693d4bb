"""mmsnap.proto, package mmsnap.v1, and what protoc made of it (see generate.sh)."""
