#!/usr/bin/env bash
# install.sh [HELM ARGUMENT...]: installs the chart on the running node, as a user would, with the image that image.sh loaded.
# The node has no kube-proxy, so the agent is told where the API is.
set -euo pipefail
here=$(dirname "$0")
. "$here/env.sh"
helm upgrade --install sockaudit "$here/../../helm/sockaudit" --namespace sockaudit-system --create-namespace \
  --set k8sServiceHost=127.0.0.1 --set k8sServicePort=6443 --wait --timeout 280s "$@"
