#!/usr/bin/env bash
# Stops the node and leaves nothing behind: components, containers, shims, mounts, network namespaces, cgroups, state.
# Works as well after a run that was killed: everything is found by the bed's own paths.
set -euo pipefail
here=$(dirname "$0")
. "$here/env.sh"
((EUID == 0)) || fail "the node was started by root, only root can stop it"

"$here/component.sh" stop kubelet scheduler controller-manager apiserver etcd containerd

for container in "$STATE"/runc/k8s.io/*/; do
  [[ -d $container ]] && runc --root "$STATE/runc/k8s.io" delete --force "$(basename "$container")" >/dev/null 2>&1 || true
done
for shim in $(processes_of containerd-shim-runc-v2); do
  kill -KILL "$shim" 2>/dev/null || true
done

for _ in {1..3}; do # the last mounted first; a mount may hide another
  tac /proc/self/mounts | cut -d' ' -f2 | grep -E "^($RUN|$STATE)/" | xargs --no-run-if-empty -n1 umount --lazy 2>/dev/null || true
done
if grep -qE " ($RUN|$STATE)/" /proc/self/mounts; then
  fail "something is still mounted below $RUN or $STATE"
fi
rm -rf --one-file-system "$RUN" "$STATE"

for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*; do
  [[ -d $hierarchy/kubepods ]] && find "$hierarchy/kubepods" -depth -type d -exec rmdir {} + 2>/dev/null || true
done
