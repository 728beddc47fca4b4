#!/usr/bin/env bash
# One test as people write it with ip, tcpdump and cmp: what comes in at one interface goes out at another,
# and the capture must be the one that was reviewed. Arguments: a name, the reviewed text of the capture.
set -eu
name=$1
reviewed=$2
work=$(mktemp -d)
ip netns add "$name"
trap 'ip netns del "$name"; rm -rf "$work"' EXIT
within() { ip netns exec "$name" "$@"; }
ip -n "$name" link add a0 address 02:00:00:00:00:01 type veth peer name a1
ip -n "$name" link add b0 type veth peer name b1
for link in a0 a1 b0 b1; do
    ip -n "$name" link set "$link" arp on up
done
within tc qdisc add dev a1 clsact
within tc filter add dev a1 ingress protocol all u32 match u32 0 0 action mirred egress redirect dev b0
within tcpdump -i b1 -c 1 -U --immediate-mode -w "$work/out.pcap" arp 2>"$work/log" &
until grep -q "listening on" "$work/log" 2>/dev/null; do :; done
# The datagram needs an address, so the kernel asks for it: one ARP request.
ip -n "$name" address add 10.9.9.1/24 dev a0
within bash -c 'echo >/dev/udp/10.9.9.9/9' 2>/dev/null || true
wait $!
tcpdump -r "$work/out.pcap" -t -n -x >"$work/out.txt" 2>/dev/null
cmp "$work/out.txt" "$reviewed"
