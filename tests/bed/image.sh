#!/usr/bin/env bash
# image.sh NAME: builds the project's Dockerfile as NAME and loads it into the node's containerd.
# No registry is asked: the base image is a stand-in made of Debian packages, with Debian's Python, tagged with the real one's name.
set -euo pipefail
here=$(dirname "$0")
. "$here/env.sh"
name=${1:?usage: image.sh NAME}
project=$(cd "$here/../.." && pwd)
images=$BED/image
mkdir -p "$images"

base=$(sed -n 's/^ARG PYTHON=//p' "$project/Dockerfile")
export BUILDAH_ISOLATION=chroot
storage() { buildah --storage-driver=overlay --root "$images/store" --runroot "$STATE/buildah" "$@"; }

if [[ ! -f $images/rootfs.tar ]]; then
  echo "bed: making the base image"
  mmdebstrap --quiet --variant=minbase --include=python3,python3-venv bookworm "$images/rootfs.part.tar"
  mv "$images/rootfs.part.tar" "$images/rootfs.tar"
fi
if ! storage inspect --type image "$base" >/dev/null 2>&1; then
  container=$(storage from scratch)
  storage add "$container" "$images/rootfs.tar" / >/dev/null
  storage commit --quiet --rm "$container" "$base" >/dev/null
fi

# The wheels are fetched outside, where the machine's settings for pip hold, once for each version of pyproject.toml.
wheels=$images/wheels-$(sha256sum "$project/pyproject.toml" | cut -c1-12)
if [[ ! -d $wheels ]]; then
  echo "bed: fetching wheels"
  rm -rf "$images"/wheels-*
  requirements=$(python3 -c 'import sys, tomllib
project = tomllib.load(open(sys.argv[1], "rb"))
print(*project["project"]["dependencies"], *project["build-system"]["requires"], sep="\n")' "$project/pyproject.toml")
  version=$(tar -xOf "$images/rootfs.tar" ./var/lib/dpkg/status | sed -n '/^Package: python3$/,/^$/s/^Version: \([0-9]*\.[0-9]*\).*/\1/p')
  python3 -m pip download --quiet --dest "$wheels.part" --python-version "$version" --only-binary=:all: --requirement <(echo "$requirements")
  mv "$wheels.part" "$wheels"
fi

storage build --quiet --layers --tag "$name" --build-arg PIP_NO_INDEX=1 --build-context wheels="$wheels" "$project" >/dev/null
rm -f "$images/image.tar"
storage push --quiet "$name" "docker-archive:$images/image.tar:$name"
ctr --address "$CONTAINERD_SOCKET" --namespace k8s.io images import "$images/image.tar" >/dev/null 2> >(grep --invert-match DEPRECATION >&2)
rm -f "$images/image.tar"
