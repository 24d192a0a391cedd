#!/usr/bin/env bash
# A real node with the agent on it, installed by helm, and a pod in trouble. Leaves everything running; down.sh ends it.
set -euo pipefail
here=$(dirname "$0")
. "$here/env.sh"
"$here/up.sh"
"$here/image.sh" docker.io/library/sockaudit:0.1.0
"$here/install.sh"

kubectl apply -f "$here/demo.yaml" >/dev/null
echo "waiting for the audit to find the pod in trouble ..."
wait_for 120 bash -c 'kubectl get sockaudit node-a -o jsonpath="{.status.findings[*].rule}" | grep -q ProcessFDsHigh'

say() { printf '\n$ %s\n' "$*"; "$@"; }
say kubectl get sockaudits
say kubectl get sockaudits -o wide
printf '\nits findings (kubectl describe sockaudit node-a shows all of it):\n'
kubectl get sockaudit node-a -o jsonpath='{range .status.findings[*]}{.severity}  {.rule}  {.message}{"\n"}    fix: {.remedy}{"\n"}{end}'
say kubectl get events --namespace shop --field-selector reportingComponent=sockaudit.io/agent
cat <<END

The node keeps running. Look around with
  export KUBECONFIG=$KUBECONFIG PATH=$BIN:\$PATH
and end it with  make down
END
