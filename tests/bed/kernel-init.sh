#!/bin/sh
# The first process of an emulated machine: mounts what a host has, runs what it was sent, says how that ended, and halts.
export PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o ptmxmode=666 devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs tmp /tmp
mount -t bpf bpf /sys/fs/bpf 2>/dev/null
ip link set lo up
cd /work || exit 1
echo
echo "=== Linux $(uname -r)"
sh run.sh
echo "=== exit $?"
sleep 1 # else what the kernel says now may come in the middle of that line
echo o >/proc/sysrq-trigger
sleep 60
