#!/usr/bin/env bash
# The same installation as a person types it, one command after the other: same binaries, images and manifests, same end state.
# Each command waits for its own effect alone, and nothing waits for time to pass. kind, kubectl and istioctl are on the PATH;
# the working directory holds the rendered files. Arguments: what istioctl needs to know about images.
set -euo pipefail
teleport=$CLUSTER-teleport
tctl() { docker exec -i "$teleport" /usr/local/bin/tctl "$@"; }

kind create cluster --name "$CLUSTER" --config kind.yaml

docker run --detach --name "$teleport" --label "$LABEL" --network kind --publish 127.0.0.1::3080 \
  --volume "$PWD/teleport.yaml:/etc/teleport.yaml:ro" --entrypoint /usr/local/bin/teleport \
  "$TELEPORT_IMAGE" start -c /etc/teleport.yaml
address=$(docker inspect --format '{{.NetworkSettings.Networks.kind.IPAddress}}' "$teleport")
until curl --silent --fail --insecure --output /dev/null "https://$address:3080/webapi/ping"; do sleep 0.1; done

tctl create < teleport-bot-role.yaml
tctl create < teleport-bot.yaml
tctl create < teleport-workload-identity.yaml
jwks=$(kubectl get --raw /openid/v1/jwks)
sed "s|PASTE_JWKS_HERE|$jwks|" istio-tbot-token.yaml.template | tctl create

sed "s|TELEPORT_ADDRESS|$address|" tbot.yaml | kubectl apply -f -
kubectl rollout status --namespace teleport-system daemonset/tbot

istioctl install -y "$@"

kubectl apply -f test-app-deployment.yaml
kubectl rollout status --namespace test-app deployment/test-app
kubectl wait --for condition=Ready nodes --all
