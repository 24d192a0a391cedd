# Where the test bed lives, and which versions it is made of. Sourced by every script here.
# shellcheck shell=bash disable=SC2034
BED=${SOCKAUDIT_BED:-$HOME/.cache/sockaudit-bed}
BIN=$BED/bin
RUN=$BED/run
STATE=/run/sockaudit-bed

KUBERNETES=1.37.2
ETCD=3.6.16
CONTAINERD=2.4.2
HELM=4.3.1

NODE=node-a
CONTAINERD_SOCKET=$STATE/containerd.sock
export KUBECONFIG=$RUN/admin.conf
export PATH=$BIN:$PATH:/usr/local/sbin:/usr/sbin:/sbin

fail() {
  echo "bed: $*" >&2
  exit 1
}

wait_for() { # wait_for SECONDS COMMAND...: until it succeeds
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || fail "gave up waiting for: $*"
    sleep 0.3
  done
}

processes_of() { # processes_of BINARY: pids of the bed's own processes, known by the file they run; no pid file goes stale
  local exe
  for exe in /proc/[0-9]*/exe; do
    [[ $(readlink "$exe") == "$BIN/.$1-"[0-9]* ]] && cut -d/ -f3 <<<"$exe"
  done
  return 0
}
