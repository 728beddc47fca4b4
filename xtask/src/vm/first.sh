#!/bin/busybox sh
# The VM's first program, in the root that the kernel unpacked: loads modules, mounts the host's files and
# goes over to them. `target`, and the options of 9p, stand in /vm/settings. xtask/src/vm/guest.rs adds both.
b=/bin/busybox

fail() {
    echo "xtask vm: $*" >/dev/console
    $b poweroff -f
}

$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
. /vm/settings

while read -r module; do
    $b insmod "/modules/$module.ko" || echo "xtask vm: $module could not be loaded" >/dev/console
done </modules/order

$b mount -t 9p -o "$options,ro,cache=loose" root /root || fail "the host's files can't be mounted"
$b mount -t tmpfs -o mode=0755 run /root/run || fail "there is no /run"
$b mkdir /root/run/xtask-vm
$b mv /vm/* /root/run/xtask-vm
$b cp $b /root/run/xtask-vm/busybox

# What is written here is in memory, and gone at the end.
for folder in tmp var/tmp; do
    [ -d "/root/$folder" ] || continue
    changes=/root/run/xtask-vm/changes/$folder
    $b mkdir -p "$changes/upper" "$changes/work"
    $b chmod 1777 "$changes/upper"
    $b mount -t overlay -o "lowerdir=/root/$folder,upperdir=$changes/upper,workdir=$changes/work" \
        overlay "/root/$folder" || fail "/$folder can't be made writable"
done

$b mkdir -p "/root$target"
$b mount -t 9p -o "$options,rw,cache=$cache" target "/root$target" || fail "$target can't be mounted"

for folder in proc sys dev; do
    $b mount --move "/$folder" "/root/$folder" || fail "/$folder can't be moved"
done
exec $b switch_root /root /run/xtask-vm/busybox sh /run/xtask-vm/second.sh
