#!/usr/bin/env bash
# What a person does to see who every sidecar of a namespace is: for each pod, what the API server knows of it, and the dump of its
# Envoy. One pod after the other; the answers go to files. Arguments: namespace, directory for the answers.
set -euo pipefail
kubectl get pods --namespace "$1" --output name | while read -r pod; do
  kubectl get --namespace "$1" "$pod" --output json > "$2/${pod##*/}.json"
  kubectl exec --namespace "$1" "$pod" --container istio-proxy -- pilot-agent request GET config_dump \
    < /dev/null > "$2/${pod##*/}.dump"
done
