"""The same test as people write it with pytest and scapy: what comes in at one interface goes out at another."""

import os
import subprocess

import pytest
from scapy.all import ARP, AsyncSniffer, Ether, sendp

COUNT = int(os.environ.get("COUNT", "1"))


def ip(*words):
    subprocess.run(["ip", *words], check=True)


@pytest.fixture
def links():
    ip("link", "add", "a0", "type", "veth", "peer", "name", "a1")
    ip("link", "add", "b0", "type", "veth", "peer", "name", "b1")
    for link in ("a0", "a1", "b0", "b1"):
        ip("link", "set", link, "up")
    subprocess.run(["tc", "qdisc", "add", "dev", "a1", "clsact"], check=True)
    subprocess.run(
        "tc filter add dev a1 ingress protocol all u32 match u32 0 0 action mirred egress redirect dev b0".split(), check=True
    )
    yield
    ip("link", "del", "a0")
    ip("link", "del", "b0")


@pytest.mark.parametrize("number", range(COUNT))
def test_redirect(links, number):
    sent = Ether(src="02:00:00:00:00:01", dst="ff:ff:ff:ff:ff:ff") / ARP(psrc="10.9.9.1", pdst="10.9.9.9")
    began = []
    sniffer = AsyncSniffer(iface="b1", count=1, lfilter=lambda frame: ARP in frame,
                           started_callback=lambda: (began.append(1), sendp(sent, iface="a0", verbose=False)))
    sniffer.start()
    sniffer.join(timeout=5)
    received = sniffer.results
    assert began and len(received) == 1
    assert bytes(received[0]) == bytes(sent)
