#!/usr/bin/env bash
# Installs the Debian packages that the test bed and the test suite need, and only those that are missing.
set -euo pipefail
. "$(dirname "$0")/env.sh"

packages=(buildah busybox-static ca-certificates chromium clang containernetworking-plugins cpio iproute2 kmod libbpf-dev llvm lsof mmdebstrap nftables openssl poppler-utils prometheus prometheus-node-exporter prometheus-process-exporter qemu-system-x86 runc shellcheck)

missing=()
for package in "${packages[@]}"; do
  [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
done
((${#missing[@]})) || exit 0
if ! command -v apt-get >/dev/null || ((EUID != 0)); then
  fail "a real node needs root on Debian or Ubuntu, and these packages: ${missing[*]}"
fi

echo "bed: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
install() { apt-get install --yes --quiet --no-install-recommends "${missing[@]}"; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The lists may be absent or old on a fresh machine; a second attempt reads them anew.
{ install || { apt-get update --quiet && install; }; } >"$log" 2>&1 || {
  tail -5 "$log" >&2
  fail "apt-get could not install: ${missing[*]}"
}
