#!/bin/sh
# The tutorial as README.md prints it, in one go: on a cluster with mmsnap, by whoever may use it.
# ENTRIES says how many employees, a million by default.
set -eux
cd "$(dirname "$0")"

kubectl create namespace demo
kubectl label namespace demo memverge=enabled
kubectl apply -n demo -f service.yaml -f hazelcast.yaml -f client.yaml
kubectl wait -n demo pod/client --for=condition=Ready --timeout=120s
kubectl exec -n demo client -- personnel health --wait 120
kubectl exec -n demo client -- personnel insert --entries "${ENTRIES:-1000000}"

kubectl apply -n demo -f checkpoint.yaml
kubectl wait -n demo checkpointrequest/before-the-disaster --for=condition=Complete --timeout=120s
kubectl get -n demo checkpoints
checkpoint=$(kubectl get -n demo checkpointrequest/before-the-disaster -o jsonpath='{.status.checkpointName}')

kubectl exec -n demo client -- personnel clear
for pod in hz-0 hz-1 hz-2; do kubectl exec -n demo $pod -- sh -c 'kill -KILL $(pidof java)'; done

sed "s/CHECKPOINT/$checkpoint/" in-place.yaml | kubectl apply -n demo -f -
kubectl wait -n demo restorerequest/in-place --for=condition=Complete --timeout=180s
kubectl exec -n demo client -- personnel health --wait 60
kubectl exec -n demo client -- personnel verify --entries "${ENTRIES:-1000000}"
kubectl get pods -n demo -o wide

kubectl delete -n demo statefulset hz --cascade=foreground
sed "s/CHECKPOINT/$checkpoint/" recreate.yaml | kubectl apply -n demo -f -
kubectl wait -n demo restorerequest/recreate --for=condition=Complete --timeout=180s
kubectl exec -n demo client -- personnel health --wait 60
kubectl exec -n demo client -- personnel verify --entries "${ENTRIES:-1000000}"
kubectl get pods -n demo -o wide

kubectl create namespace staging
kubectl label namespace staging memverge=enabled
kubectl patch -n demo checkpoint "$checkpoint" --type=merge -p '{"spec": {"allowedNamespaces": ["staging"]}}'
kubectl apply -n staging -f service.yaml
sed "s/hz-/hz-copy-/g" client.yaml | kubectl apply -n staging -f -
sed "s/CHECKPOINT/$checkpoint/" clone.yaml | kubectl apply -n staging -f -
kubectl wait -n staging restorerequest/copy --for=condition=Complete --timeout=180s
kubectl exec -n staging client -- personnel health --wait 60
kubectl exec -n staging client -- personnel verify --entries "${ENTRIES:-1000000}"
kubectl exec -n staging client -- personnel clear
kubectl exec -n demo client -- personnel verify --entries "${ENTRIES:-1000000}"

kubectl delete namespace staging demo
