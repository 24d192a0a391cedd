#!/usr/bin/env bash
# component.sh start|stop NAME...: one part of the node by itself, as failure tests need it.
# NAME is etcd, apiserver, controller-manager, scheduler, containerd or kubelet. Pods outlive a stopped containerd or kubelet.
set -euo pipefail
. "$(dirname "$0")/env.sh"

pki=$RUN/pki

describe() { # describe NAME: sets binary, arguments and ready (a command that succeeds once the component serves)
  binary=$1
  case $1 in
  etcd)
    arguments=(--data-dir "$RUN/etcd" --unsafe-no-fsync
      --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380)
    ready=(true)
    ;;
  apiserver)
    binary=kube-apiserver
    # No endpoint reconciler: a loopback address may not be advertised.
    arguments=(--etcd-servers=http://127.0.0.1:2379 --bind-address=127.0.0.1 --secure-port=6443 --endpoint-reconciler-type=none
      --service-cluster-ip-range=10.96.0.0/16 '--authorization-mode=Node,RBAC' --enable-admission-plugins=NodeRestriction --allow-privileged=true
      --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" --client-ca-file="$pki/ca.crt"
      --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$pki/sa.pub" --service-account-signing-key-file="$pki/sa.key"
      --kubelet-client-certificate="$pki/apiserver-kubelet.crt" --kubelet-client-key="$pki/apiserver-kubelet.key"
      --kubelet-certificate-authority="$pki/ca.crt" --kubelet-preferred-address-types=InternalIP)
    ready=(kubectl get --raw /readyz)
    ;;
  controller-manager)
    binary=kube-controller-manager
    arguments=(--kubeconfig="$RUN/controller-manager.conf" --bind-address=127.0.0.1 --leader-elect=false --use-service-account-credentials
      --service-account-private-key-file="$pki/sa.key" --root-ca-file="$pki/ca.crt")
    ready=(true)
    ;;
  scheduler)
    binary=kube-scheduler
    arguments=(--kubeconfig="$RUN/scheduler.conf" --bind-address=127.0.0.1 --leader-elect=false)
    ready=(true)
    ;;
  containerd)
    arguments=(--config "$RUN/containerd.toml")
    ready=(ctr --address "$CONTAINERD_SOCKET" version)
    ;;
  kubelet)
    arguments=(--config="$RUN/kubelet.yaml" --kubeconfig="$RUN/kubelet.conf" --root-dir="$RUN/kubelet" --hostname-override="$NODE" --node-ip=127.0.0.1
      --tls-cert-file="$pki/kubelet.crt" --tls-private-key-file="$pki/kubelet.key")
    ready=(true)
    ;;
  *) fail "no component is called $1" ;;
  esac
}

start() {
  describe "$1"
  if [[ -z $(processes_of "$binary") ]]; then
    mkdir -p "$RUN/log"
    (cd "$RUN" && exec setsid "$BIN/$binary" "${arguments[@]}" </dev/null >>"$RUN/log/$1.log" 2>&1) &
    disown
  fi
  wait_for 180 "${ready[@]}"
}

stop() {
  describe "$1"
  local pid
  for pid in $(processes_of "$binary"); do
    kill "$pid" 2>/dev/null || continue
    # The apiserver would drain its watches for a minute; nothing here needs that long.
    for _ in {1..15}; do
      [[ -e /proc/$pid ]] || break
      sleep 0.2
    done
    kill -KILL "$pid" 2>/dev/null || continue
    for _ in {1..150}; do # its ports and locks are free once it has gone
      [[ -e /proc/$pid ]] || break
      sleep 0.2
    done
  done
}

(($# >= 2)) && [[ $1 == start || $1 == stop ]] || fail "usage: component.sh start|stop NAME..."
action=$1
shift
case $action in
start) for name in "$@"; do start "$name"; done ;;
stop)
  for name in "$@"; do stop "$name" & done # none waits for another's end
  wait
  ;;
esac
