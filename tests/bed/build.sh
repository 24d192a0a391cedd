#!/usr/bin/env bash
# Builds the binaries of a real Kubernetes node from published Go modules into the cache.
# About 10 minutes on two cores the first time; afterwards it finds everything and returns at once.
set -euo pipefail
. "$(dirname "$0")/env.sh"

command -v go >/dev/null || fail "go is missing: install Go 1.26 or newer"
mkdir -p "$BIN"
export CGO_ENABLED=0 GOGC=400 GOFLAGS='-buildvcs=false -mod=mod -trimpath'

# A binary is named after its version, so that a new version in env.sh is a new build; the plain name is a link to it.
built() { [ -x "$BIN/.$1-$2" ]; }
build() { # build MODULE_DIR BINARY VERSION PACKAGE [LDFLAGS]
  local dir=$1 binary=$2 version=$3 package=$4 ldflags=${5:-}
  if ! built "$binary" "$version"; then
    echo "bed: building $binary $version"
    (cd "$BED/src/$dir" && go build -ldflags "-s -w $ldflags" -o "$BIN/.$binary-$version.part" "$package")
    mv "$BIN/.$binary-$version.part" "$BIN/.$binary-$version"
  fi
  ln -sfn ".$binary-$version" "$BIN/$binary"
}

module() { # module DIR REQUIREMENT...: a throwaway module that requires the given ones
  local dir=$BED/src/$1
  shift
  mkdir -p "$dir"
  [ -f "$dir/go.mod" ] || printf 'module bed\n\ngo 1.26\n' >"$dir/go.mod"
  (cd "$dir" && go get "$@" 2>&1 | grep -vE '^go: (added|downloading|upgraded)' || true)
}

# k8s.io/kubernetes requires its staging modules as v0.0.0: each is replaced by the published v0.MINOR.
kubernetes_module() {
  local dir=$BED/src/kubernetes gomod component
  mkdir -p "$dir"
  gomod=$(cd "$dir" && go mod download -json "k8s.io/kubernetes@v$KUBERNETES" | python3 -c 'import json, sys; print(json.load(sys.stdin)["GoMod"])')
  {
    printf 'module bed\n\ngo 1.26\n\nrequire k8s.io/kubernetes v%s\n\n' "$KUBERNETES"
    sed -nE "s#^\s+(k8s.io/[a-z0-9-]+) v0\.0\.0\$#replace \1 => \1 v0.${KUBERNETES#1.}#p" "$gomod" | sort -u
  } >"$dir/go.mod"
  {
    printf '//go:build tools\n\npackage tools\n\nimport (\n'
    for component in "${components[@]}"; do printf '\t_ "k8s.io/kubernetes/cmd/%s"\n' "$component"; done
    printf ')\n'
  } >"$dir/tools.go"
  (cd "$dir" && go mod tidy -e >/dev/null 2>&1)
}

components=(kube-apiserver kube-controller-manager kube-scheduler kubelet kubectl)
version_package=k8s.io/component-base/version
version_flags="-X $version_package.gitVersion=v$KUBERNETES -X $version_package.gitMajor=1 -X $version_package.gitMinor=$(cut -d. -f2 <<<"$KUBERNETES")"
for component in "${components[@]}"; do
  built "$component" "$KUBERNETES" || { kubernetes_module && break; }
done
for component in "${components[@]}"; do
  build kubernetes "$component" "$KUBERNETES" "k8s.io/kubernetes/cmd/$component" "$version_flags"
done

built etcd "$ETCD" || module etcd "go.etcd.io/etcd/server/v3@v$ETCD"
build etcd etcd "$ETCD" go.etcd.io/etcd/server/v3

containerd=github.com/containerd/containerd/v2
built ctr "$CONTAINERD" || module containerd "$containerd@v$CONTAINERD" "$containerd/cmd/containerd@v$CONTAINERD"
for binary in containerd containerd-shim-runc-v2 ctr; do
  build containerd "$binary" "$CONTAINERD" "$containerd/cmd/$binary"
done

built helm "$HELM" || module helm "helm.sh/helm/v4/cmd/helm@v$HELM"
build helm helm "$HELM" helm.sh/helm/v4/cmd/helm
