# Where the test bed lives, and which versions it is made of. Sourced by every script here.
# shellcheck shell=bash disable=SC2034
BED=${SOCKAUDIT_BED:-$HOME/.cache/sockaudit-bed}
BIN=$BED/bin
RUN=$BED/run

KUBERNETES=1.37.2
ETCD=3.6.16
CONTAINERD=2.4.2
HELM=4.3.1

NODE=node-a
CONTAINERD_SOCKET=/run/sockaudit-bed/containerd.sock
export KUBECONFIG=$RUN/admin.conf
export PATH=$BIN:$PATH

fail() {
  echo "bed: $*" >&2
  exit 1
}
