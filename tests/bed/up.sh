#!/usr/bin/env bash
# Brings up one real, Ready Kubernetes node, in about ten seconds. Finds a running one and keeps it; clears away what a killed run left.
set -euo pipefail
here=$(dirname "$0")
. "$here/env.sh"
((EUID == 0)) || fail "a real node needs root"

ready() { kubectl wait --for=condition=Ready "node/$NODE" --timeout=1s; }
if [[ -n $(processes_of kubelet) && -f $KUBECONFIG ]] && ready >/dev/null 2>&1; then exit 0; fi

"$here/packages.sh"
"$here/build.sh"
"$here/down.sh"
mkdir -p "$RUN/static" "$RUN/cni" "$STATE"
"$here/pki.sh"

cat >"$RUN/cni/10-bed.conflist" <<END
{
  "cniVersion": "1.0.0",
  "name": "bed",
  "plugins": [{
    "type": "ptp",
    "ipMasq": false,
    "ipam": {
      "type": "host-local",
      "dataDir": "$STATE/addresses",
      "ranges": [[{"subnet": "10.244.0.0/24"}]],
      "routes": [{"dst": "0.0.0.0/0"}]
    }
  }]
}
END

cat >"$RUN/containerd.toml" <<END
version = 3
root = "$RUN/containerd"
state = "$STATE/containerd"
[grpc]
address = "$CONTAINERD_SOCKET"
[plugins.'io.containerd.cri.v1.runtime']
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ["/usr/lib/cni"]
conf_dir = "$RUN/cni"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
Root = "$STATE/runc"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "localhost/pause:1"
END

# failCgroupV1: the machine may still mount v1 hierarchies. Eviction off: the disk of a test machine is its own affair.
cat >"$RUN/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 127.0.0.1
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: $RUN/pki/ca.crt}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
containerRuntimeEndpoint: unix://$CONTAINERD_SOCKET
evictionHard: {}
failCgroupV1: false
failSwapOn: false
fileCheckFrequency: 2s
imageGCHighThresholdPercent: 100
maxPods: 250
staticPodPath: $RUN/static
END

"$here/component.sh" start etcd apiserver controller-manager scheduler containerd
python3 "$here/busybox_image.py" "$RUN/busybox.tar"
ctr --address "$CONTAINERD_SOCKET" --namespace k8s.io images import "$RUN/busybox.tar" >/dev/null
"$here/component.sh" start kubelet

# The kubelet refuses a loopback address; set by hand it stays, and kubectl logs and exec work.
wait_for 180 kubectl get node "$NODE"
kubectl patch node "$NODE" --subresource=status --type=merge --patch \
  '{"status": {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": "'"$NODE"'"}]}}' >/dev/null
wait_for 180 ready
wait_for 180 kubectl get serviceaccount default
