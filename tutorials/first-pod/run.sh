#!/usr/bin/env bash
# The tutorial in one command; what each step means is in README.md beside it.
set -euo pipefail
cd "$(dirname "$0")"

say() { printf '\n== %s\n' "$*"; }
used() { kubectl mmsnap show-usage --fresh --node "$1" -o json | sed -n 's/^  "usedBytes": \([0-9]*\),*$/\1/p'; }

say "A namespace that mmsnap looks at, and the nodes' pools before"
kubectl apply -f namespace.yaml
kubectl mmsnap usage --fresh

say "A pod that asks for it, by an annotation"
kubectl apply -f pod.yaml
kubectl wait --for=condition=Ready pod/first -n first-pod --timeout=120s
node=$(kubectl get pod first -n first-pod -o 'jsonpath={.spec.nodeName}')
with=$(used "$node")
kubectl mmsnap list -n first-pod
kubectl mmsnap usage
kubectl mmsnap show-usage --node "$node"

say "The pod is deleted, and nobody can want its memory any more"
kubectl delete -f pod.yaml
for _ in 1 2 3 4 5 6; do
    without=$(used "$node")
    [ "$without" -le $((with - (64 << 20))) ] && break
done
kubectl mmsnap usage
kubectl delete -f namespace.yaml

say "$node used $with bytes with the pod, and $without without it"
[ "$without" -le $((with - (64 << 20))) ]
