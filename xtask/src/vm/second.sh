# The VM's first program once the host's files are its root: runs the command, and says how it ended.
# `target` stands in the settings beside this file.
cd /run/xtask-vm || exit
b=/run/xtask-vm/busybox
. ./settings

$b mkdir -p /dev/pts /dev/shm
$b mount -t devpts -o ptmxmode=0666 devpts /dev/pts
$b mount -t tmpfs -o mode=1777 shm /dev/shm
$b ln -s /proc/self/fd /dev/fd
for number in 0:stdin 1:stdout 2:stderr; do
    $b ln -s "/proc/self/fd/${number%:*}" "/dev/${number#*:}"
done
# As udev has it.
$b chmod 0666 /dev/net/tun
$b ip link set lo up

# The device of a port of virtio-serial. Its driver makes them one after the other.
port() {
    while :; do
        for entry in /sys/class/virtio-ports/*; do
            read -r name 2>/dev/null <"$entry/name" || continue
            device=/dev/${entry##*/}
            [ "$name" = "$1" ] && [ -c "$device" ] && return
        done
        $b usleep 10000
    done
}

# A port can be opened once only, and a command may open /dev/stderr as often as it likes.
$b mkfifo out err
port stdout
$b cat out >"$device" &
out=$!
port stderr
$b cat err >"$device" &
err=$!
port status
exec 3>"$device"

echo started >&3
$b setsid /bin/sh ./command </dev/null >out 2>err 3>&-
status=$?

# What the command left running would hold its output open.
for entry in /proc/[0-9]*; do
    case ${entry#/proc/} in
    1 | "$out" | "$err") ;;
    *) kill -9 "${entry#/proc/}" ;;
    esac
done 2>/dev/null
wait "$out" "$err"
$b sync
$b umount "$target"
echo "exited $status" >&3
$b poweroff -f
