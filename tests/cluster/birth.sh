#!/bin/sh
# The first process of a node, in namespaces of its own: makes itself a machine, then only reaps.
# usage: birth.sh NAME WORK PAUSE < table of cgroup hierarchies (folder, type, options)
#
# Its root is an overlay whose changes are in memory, so that nothing it does reaches this machine;
# what is big, or has to outlive a loss of power, are folders of WORK/NAME bound over it.
set -eu
name=$1 work=$2 pause=$3
here=$work/$name root=$work/$name/root scratch=$work/$name/scratch

mount --make-rprivate /
mkdir -p "$root" "$scratch"
mount -t tmpfs tmpfs "$scratch"
mkdir "$scratch/upper" "$scratch/work"
mount -t overlay overlay -o "lowerdir=/,upperdir=$scratch/upper,workdir=$scratch/work" "$root"

mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs shm "$root/dev/shm"
mount -t tmpfs run "$root/run"
mount -t tmpfs cgroups "$root/sys/fs/cgroup"
while read -r folder type options; do
    mkdir -p "$root/sys/fs/cgroup/$folder"
    mount -t "$type" ${options:+-o "$options"} "$type" "$root/sys/fs/cgroup/$folder"
    mkdir -p "$root/sys/fs/cgroup/$folder/system"
    echo $$ > "$root/sys/fs/cgroup/$folder/system/cgroup.procs"
done

for folder in etc/cni etc/kubernetes var/lib/containerd var/lib/kubelet var/lib/etcd var/log \
    var/memverge var/lib/volumes; do
    mkdir -p "$here/disk/$folder" "$root/$folder"
    mount --bind "$here/disk/$folder" "$root/$folder"
done
mount --bind "$work" "$root$work"

# The kubelet sets these for the whole kernel; told that they are as it wants them, it leaves them.
mkdir -p "$root/run/kernel"
for setting in vm/overcommit_memory=1 kernel/panic=10 kernel/panic_on_oops=1 \
    kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
    file=$root/run/kernel/$(basename "${setting%=*}")
    echo "${setting#*=}" > "$file"
    mount --bind "$file" "$root/proc/sys/${setting%=*}"
done

cd "$root"
pivot_root . mnt
umount -l /mnt
mount --make-rshared /
hostname "$name"
echo 'options ndots:1' > /etc/resolv.conf
echo "127.0.0.1 localhost $name" > /etc/hosts
touch /run/born
exec "$pause" < /dev/null > /dev/null 2>&1
