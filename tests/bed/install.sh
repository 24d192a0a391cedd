#!/usr/bin/env bash
# install.sh [HELM ARGUMENT...]: builds the image and installs the chart on the running node, as a user would.
# The node has no kube-proxy, so the agent is told where the API is.
set -euo pipefail
here=$(dirname "$0")
. "$here/env.sh"
chart=$here/../../helm/sockaudit
"$here/image.sh" "docker.io/library/sockaudit:$(sed -n 's/^appVersion: //p' "$chart/Chart.yaml")"
helm upgrade --install sockaudit "$chart" --namespace sockaudit-system --create-namespace \
  --set k8sServiceHost=127.0.0.1 --set k8sServicePort=6443 --wait --timeout 120s "$@"
