#!/usr/bin/env bash
# kernel.sh SERIES SCRIPT FOLDER...: boots Debian's newest kernel of a series, as 6.1, in emulation, on a host of pure cgroup v2.
# The folders stand in /work; SCRIPT (sh) runs there as root. Prints what it printed; exits as it did. Nothing of this machine is touched.
set -euo pipefail
here=$(dirname "$0")
. "$here/env.sh"
series=${1:?usage: kernel.sh SERIES SCRIPT FOLDER...}
script=${2:?usage: kernel.sh SERIES SCRIPT FOLDER...}
shift 2
cache=$BED/kernels
packages=python3,iproute2,kmod,nftables,libbpf1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

archive() { (cd "$1" && find . | cpio --create --format=newc --quiet --owner=+0:+0 | gzip -1); } # archive FOLDER

apt=() # options that lead apt to the suite that has this series
newest() { apt-cache "${apt[@]}" search --names-only "^linux-image-${series//./\\.}\.[0-9.+a-z-]*-cloud-amd64\$" | cut -d' ' -f1 | sort --version-sort | tail -1; }
initrd=initrd-$(cat "$here"/kernel*.sh | sha256sum | cut -c1-12).gz # made of the system and the kernel's modules
fetched() {
  local folder
  for folder in "$cache/$series".*; do
    if [[ -f $folder/vmlinuz && -f $folder/$initrd ]]; then echo "linux-image-${folder##*/}"; fi
  done | sort --version-sort | tail -1
}
image=$(newest)
[[ -n $image ]] || image=$(fetched)
[[ -n $image ]] || { apt-get update --quiet >/dev/null && image=$(newest); } || true
if [[ -z $image && $series == 5.10 ]]; then # Debian 11 has it: its security suite, from where this machine has its own
  sources=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null || true)
  security=$(awk '/^(URIs:|deb )/ && match($0, /http[^ ]*debian-security[^ ]*/) {print substr($0, RSTART, RLENGTH); exit}' <<<"$sources")
  mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $security bullseye-security main" >"$work/apt/list"
  apt=(-o "Dir::Etc::sourcelist=$work/apt/list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$work/apt/lists"
    -o "Dir::Cache=$work/apt/cache" -o Acquire::Check-Valid-Until=false)
  chmod 755 "$work"
  apt-get "${apt[@]}" update --quiet >/dev/null 2>&1 && image=$(newest)
fi
[[ -n $image ]] || fail "apt knows no cloud kernel $series for this machine"
release=${image#linux-image-}
kernel=$cache/$release

exec 9>"$BED/kernels.lock" # two runs that start together build once
flock 9
if [[ ! -f $cache/rootfs-${packages//,/-}.tar ]]; then
  echo "bed: making the system for emulated kernels" >&2
  mkdir -p "$cache"
  rm -f "$cache"/rootfs-*
  mmdebstrap --quiet --variant=minbase --include="$packages" --dpkgopt='path-exclude=/usr/share/*/man/*' bookworm "$work/rootfs.tar"
  mv "$work/rootfs.tar" "$cache/rootfs-${packages//,/-}.tar"
fi
rootfs=$cache/rootfs-${packages//,/-}.tar

# What is to be run comes with each boot as a second archive.
initrd=$kernel/$initrd
if [[ ! -f $initrd ]]; then
  echo "bed: fetching $image" >&2
  rm -rf "$kernel"
  mkdir -p "$kernel" "$work/deb" "$work/root"
  chmod 755 "$work"
  (cd "$work/deb" && apt-get "${apt[@]}" download --quiet "$image" >/dev/null 2>&1) || fail "apt-get could not download $image"
  dpkg --extract "$work"/deb/*.deb "$work/package"
  tar -C "$work/root" -xf "$rootfs" --exclude='./usr/share/doc/*' --exclude='./usr/share/locale/*' --exclude='./var/lib/apt/*' --exclude='./dev/*'
  modules=lib/modules/$release
  mkdir -p "$work/root/$modules/kernel/drivers/net"
  cp -a "$work/package/$modules"/modules.* "$work/root/$modules/"
  cp -a "$work/package/$modules/kernel"/{net,lib,crypto} "$work/root/$modules/kernel/"
  cp -a "$work/package/$modules/kernel/drivers/net"/{veth,dummy}.ko* "$work/root/$modules/kernel/drivers/net/"
  depmod --basedir "$work/root" "$release"
  install -m 755 "$here/kernel-init.sh" "$work/root/init"
  archive "$work/root" >"$work/initrd.gz"
  cp "$work/package/boot/vmlinuz-$release" "$kernel/vmlinuz"
  mv "$work/initrd.gz" "$initrd"
fi
exec 9>&-

mkdir -p "$work/boot/work"
for folder; do cp -a "$folder" "$work/boot/work/"; done
printf '%s\n' "$script" >"$work/boot/work/run.sh"
{ cat "$initrd"; archive "$work/boot"; } >"$work/initrd.gz"
qemu-system-x86_64 -machine accel=tcg -cpu max -smp 2 -m 3072 -display none -serial stdio -monitor none -nodefaults -no-reboot \
  -kernel "$kernel/vmlinuz" -initrd "$work/initrd.gz" -append 'console=ttyS0 quiet panic=-1 rdinit=/init' </dev/null |
  tr -d '\r' | tee "$work/console" | sed --unbuffered -n '/^=== Linux/,$p'
status=$(sed -n 's/^=== exit \([0-9]\+\).*/\1/p' "$work/console")
[[ -n $status ]] || { tail -20 "$work/console" >&2; fail "Linux $release did not come to the end of the script"; }
exit "$status"
