#!/bin/sh
# nic_test: real network cards, as QEMU plays them: virtio-net of three kinds and e1000e, each with a Linux or a peer of the test's
# at the other end of its wire. Why: the host tests know only devices that the tests imagine. Expected: every byte sent comes
# back, in frames of all lengths; a frame of 64 KiB crosses virtio both ways uncut, and leaves e1000e uncut or as frames with right
# checksums; several queues, legacy registers, no merged buffers; a link that goes and comes, a card that is reset behind our back; a wire of datagrams, where a card has to finish
# its frames itself.
# DHCP and pings through our stack, natively and over a bridge on amphi-hv. The taps are in a network namespace of the test's own.
# timeout: 120
. "$(dirname "$0")/lib.sh"
unshare -rn true 2>/dev/null || { echo "no network namespaces here"; exit 77; }
export BUILD work
cat >"$work/drive.py" <<'P'
import os, re, socket, struct, subprocess, sys, threading, time
from machine import Machine
work, build = os.environ["work"], os.environ["BUILD"]
PACKET_VNET_HDR, SOL_PACKET, ETH_P_ALL, OUTGOING = 15, 263, 3, 4

def sh(line):
    subprocess.run(line, shell=True, check=True)

def machine(*args, ip="off"):
    return Machine(work, *args, mib=64, seconds=100, words="dma_panic ip=" + ip)

def io_bar(m, vendor_device):  # the first port of a function's own, as the firmware placed it
    text = ""
    m.hmp("info pci")
    while not re.search(r"info pci.*\(qemu\)", text, re.S):
        text += m.monitor.recv(65536).decode()
    return int(re.search(vendor_device + r".*?I/O at 0x([0-9a-f]+)", text, re.S).group(1), 16)

class Tap:  # frames as Linux sees them, with what is left to be done to them
    def __init__(self, name, queues=1):
        self.name, self.queues = name, queues
        sh("ip tuntap add mode tap vnet_hdr %s name %s" % ("multi_queue" if queues > 1 else "", name))
        sh("sysctl -qw net.ipv6.conf.%s.disable_ipv6=1; ip link set %s up promisc on mtu 9100" % (name, name))
        self.s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.s.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.s.bind((name, ETH_P_ALL))
        self.s.settimeout(20)
    def args(self, device):
        return ["-netdev", "tap,id=%s,ifname=%s,script=no,downscript=no,vhost=off%s" % (self.name, self.name,
            ",queues=%d" % self.queues if self.queues > 1 else ""), "-device", "%s,netdev=%s" % (device, self.name)]
    def send(self, frame, gso=0):
        l4 = 54 if is_v6(frame) else 34
        blank = 1 if frame[12:14] in (b"\x08\0", b"\x86\xdd") else 0
        kind = (4 if is_v6(frame) else 1) if gso else 0
        self.s.send(struct.pack("<BBHHHH", blank, kind, (l4 + 20) * bool(gso), gso, l4 * blank, 16 * blank) + frame)
    def receive(self):
        while True:
            got, address = self.s.recvfrom(80000)
            if address[2] != OUTGOING:
                return struct.unpack("<BBHHHH", got[:10]), got[10:]

def is_v6(frame):
    return frame[12:14] == b"\x86\xdd"

def fold(data, start=0):
    data += b"\0" * (len(data) % 2)
    total = start + sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total

def parts(frame):  # of a TCP frame: pseudo header's sum, its segment
    if is_v6(frame):
        tcp = frame[54:54 + struct.unpack(">H", frame[18:20])[0]]
        return fold(frame[22:54] + struct.pack(">HH", 6, len(tcp))), tcp
    tcp = frame[34:14 + struct.unpack(">H", frame[16:18])[0]]
    return fold(frame[26:34] + struct.pack(">HH", 6, len(tcp))), tcp

def tcp_frame(flow, payload, v6=False):  # with its checksum left blank
    addresses = (bytes(15) + b"\1" + bytes(15) + b"\2") if v6 else b"\x0a\0\0\1\x0a\0\0\2"
    n = 20 + len(payload)
    ip = struct.pack(">IHBB", 6 << 28, n, 6, 64) if v6 else struct.pack(">BBHHHBBH", 0x45, 0, 20 + n, 0, 0x4000, 64, 6, 0)
    if not v6:
        ip = ip[:10] + struct.pack(">H", ~fold(ip + addresses) & 0xffff)
    tcp = struct.pack(">HHIIBBHHH", 1000 + flow, 80, 1, 0, 0x50, 0x10, 1000, fold(addresses + struct.pack(">HH", 6, n)), 0)
    return bytes.fromhex("525400123456020000000001") + (b"\x86\xdd" if v6 else b"\x08\0") + ip + addresses + tcp + payload

def turned(frame):
    return frame[6:12] + frame[:6] + frame[12:]

def check(header, frame):  # the checksum: right, or blank and the pseudo header's
    pseudo, tcp = parts(frame)
    if header[0] & 1:
        assert struct.unpack(">H", tcp[16:18])[0] == pseudo, "the blank checksum is not the pseudo header's"
        assert header[4] == (54 if is_v6(frame) else 34) and header[5] == 16
    else:
        assert fold(tcp, pseudo) == 0xffff, "a wrong TCP checksum"
    assert is_v6(frame) or fold(frame[14:34]) == 0xffff, "a wrong IP checksum"
    return tcp[20:]

def cross(tap, payload, gso, v6, receive):  # one frame in; what comes out, as one or several
    tap.send(tcp_frame(3, payload, v6), gso)
    got, n = b"", 0
    while len(got) < len(payload):
        header, frame = receive()
        got += check(header, frame)
        n += 1
    assert got == payload, "other bytes"
    return n

LONG = [4095, 4096, 4097, 8191, 8193] + list(range(9010, 9019))  # up to what e1000e can, with a tag

def lengths(tap, longest):  # not IP: nothing is left to be done
    for n in list(range(60, 100)) + list(range(1500, 1515)) + [n for n in LONG if n <= longest]:
        frame = bytes.fromhex("525400123456020000000001") + b"\x88\xb5" + os.urandom(n - 14)
        tap.send(frame)
        assert tap.receive()[1] == turned(frame), "a frame of %d bytes came back as another" % n

def burst(tap, rounds, size, gso):  # 16 flows at a time; within a flow in order
    for r in range(rounds):
        sent = [tcp_frame(f % 8, os.urandom(size + f), bool(f % 3)) for f in range(16)]
        for f in sent:
            tap.send(f, gso)
        back = [tap.receive()[1] for f in sent]
        for flow in range(8):
            for v6 in (False, True):
                mine = [turned(f) for f in sent if f[12:14] == (b"\x86\xdd" if v6 else b"\x08\0") and parts(f)[1][:2] == struct.pack(">H", 1000 + flow)]
                assert [f for f in back if f in mine] == mine, "a flow is out of order, or something is lost"

def virtio(name, device, queues=1, uncut=True):
    tap = Tap("tap%d" % virtio.n, queues)
    virtio.n += 1
    m = machine(*tap.args(device))
    m.do("netecho eth0", "@netecho eth0 on")
    lengths(tap, 9018 if uncut else 1514)
    for v6 in (False, True):
        n = cross(tap, os.urandom(65535 - 74), 1400, v6, tap.receive)
        assert (n == 1) == uncut, "64 KiB came back as %d frames" % n
    burst(tap, 20, 30000 if uncut else 1000, 1400 if uncut else 0)
    m.end()
    print(name + ": every length, 64 KiB " + ("uncut" if uncut else "cut by the peer") + ", 320 frames of 8 flows in order")
virtio.n = 0

def peer_of(s, path, got, own=None):  # at the end of a wire of datagrams: answers pings, keeps the rest
    while True:
        frame = s.recv(70000)
        if frame[12:14] == b"\x08\0" and frame[23] == 1:  # an echo request: the answer's checksum is larger by 8 in its first byte
            s.sendto(frame[6:12] + (own or frame[:6]) + frame[12:26] + frame[30:34] + frame[26:30] + b"\0\0" + struct.pack(">H", fold(frame[36:38], 0x800)) + frame[38:], path)
        else:
            got.append(frame)

def cards():
    here, there = work + "/here", work + "/there"
    s, got = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), []
    s.bind(here)
    threading.Thread(target=peer_of, args=(s, there, got), daemon=True).start()
    t0, t1 = Tap("wire0"), Tap("wire1")
    m = machine(*t0.args("virtio-net-pci,id=v,mac=52:54:00:12:34:56"), *t1.args("e1000e,id=e"),
        "-netdev", "dgram,id=d,local.type=unix,local.path=%s,remote.type=unix,remote.path=%s" % (there, here), "-device", "e1000e,netdev=d")
    for count, size in ((1000, 64), (300, 1514)):
        m.do("netblast eth2 %d %d 10.0.0.1 10.0.0.2" % (count, size), "@blast eth2 size=%d sent=%d answered=%d wrong=0" % (size, count, count))
    m.do("netecho eth0 eth1", "@netecho eth0 on")
    m.do("netecho eth1 eth0", "@netecho eth1 on")
    lengths_between(t0, t1)
    lengths_between(t1, t0)
    for v6 in (False, True):
        for size, gso in ((100, 0), (1400, 0), (60000, 1400)):
            cross(t0, os.urandom(size), gso, v6, t1.receive)
            cross(t1, os.urandom(size), gso, v6, t0.receive)
    print("e1000e: frames of all lengths both ways, checksums, 60000 bytes at once")
    m.do("netecho eth0 off; netecho eth0 eth2", "@netecho eth0 on")
    for v6 in (False, True):  # a wire of datagrams takes what the card has finished itself
        cross(t0, os.urandom(1001), 0, v6, lambda: ((0,), wait_for(got)))
    print("e1000e: checksums of its own")
    for card, name in (("v", "eth0"), ("e", "eth1")):
        m.hmp("set_link %s off" % card)
        m.wait(name + ": the link is down")
        m.hmp("set_link %s on" % card)
        m.wait(name + ": the link is up")
    m.do("netecho eth0 off; netecho eth0 eth1", "@netecho eth0 on")
    cross(t0, os.urandom(1000), 0, False, t1.receive)
    cross(t1, os.urandom(1000), 0, False, t0.receive)
    print("links went and came")
    port = io_bar(m, "1af4:1000")
    m.hmp("o /1b 0x%x 0" % (port + 18))  # the status register that the device has beside its modern one
    m.wait("eth0: the card has failed: reset 1")
    port = io_bar(m, "8086:10d3")
    m.hmp("o /1w 0x%x 0x100" % port)  # RCTL, by address and data
    m.hmp("o /1w 0x%x 0" % (port + 4))
    m.wait("eth1: the card has failed: reset 1")
    time.sleep(0.5)
    for _ in range(20):
        cross(t0, os.urandom(60000), 1400, False, t1.receive)
        cross(t1, os.urandom(1000), 0, True, t0.receive)
    print("cards that lost all they were told came back")
    m.end()

def addresses():  # both cards on QEMU's own network: DHCP, ARP and pings through the TCP/IP stack
    m = machine("-netdev", "user,id=a,restrict=on", "-device", "virtio-net-pci,netdev=a",
        "-netdev", "user,id=b,restrict=on,net=10.0.3.0/24", "-device", "e1000e,netdev=b", ip="dhcp")
    for _ in range(2):
        m.wait(r"@net eth[01] 10\.0\.[23]\.15/24")
    for gateway in ("10.0.2.2", "10.0.3.2"):
        m.do("ping -c 3 -s 1400 %s" % gateway, r"@ping %s sent=3 received=3" % gateway)
    m.end()
    print("both have addresses by DHCP and reach their gateways")

def on_amphi_hv():  # the first domain of our own hypervisor, where a bridge has the card and the stack the bridge
    log = subprocess.run(["timeout", "-k", "5", "60", "qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-cpu", "max", "-m", "96", "-nodefaults",
        "-display", "none", "-no-reboot", "-serial", "stdio", "-monitor", "none", "-kernel", build + "/amphi-hv", "-append", "dom0_mem=48M",
        "-initrd", build + '/amphi role=service stay do="ping -c 2 -s 4000 10.0.2.2; halt"',
        "-netdev", "user,id=a,restrict=on", "-device", "virtio-net-pci,netdev=a"], stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout
    for wanted in ("@net xenbr0 10.0.2.15/24", "@ping 10.0.2.2 sent=2 received=2 twice=0 wrong=0", "@exit 0"):
        if wanted not in log:
            sys.exit("expected %s in:\n%s" % (wanted, log[-3000:]))
    print("amphi-hv: a service domain's bridge has an address through its card")

def jumbo():  # a guest with mtu=9000 makes its wire as wide: its longest frames go out whole, and come back
    here, there = work + "/jumbo", work + "/card"
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(here)
    threading.Thread(target=peer_of, args=(s, there, [], b"\2peer!"), daemon=True).start()
    with open(work + "/g.cfg", "w") as f:
        f.write("name = 'g'\nkernel = '%s/amphi'\nmemory = 24\nvif = ['mtu=9000']\n" % build)
        f.write("cmdline = 'role=guest ip=off do=\"sleep 500; netblast eth0 50 9014 10.0.0.1 10.0.0.2; halt\"'\n")
    wire = "dgram,local.type=unix,local.path=%s,remote.type=unix,remote.path=%s" % (there, here)
    log = subprocess.run(["timeout", "-k", "5", "60", build + "/amphi-tool", "run", "--accel", "tcg", "--timeout", "50", "--net", wire, work + "/g.cfg"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout
    for wanted in ("eth0: MTU 9000", "@blast eth0 size=9014 sent=50 answered=50 wrong=0"):
        if wanted not in log:
            sys.exit("expected %s in:\n%s" % (wanted, log[-3000:]))
    print("a guest's frames of 9000 bytes cross the card whole")

def wait_for(got):
    end = time.time() + 20
    while not got and time.time() < end:
        time.sleep(0.01)
    return got.pop(0)

def lengths_between(a, b):
    for n in list(range(60, 80)) + list(range(1505, 1515)) + LONG:
        frame = bytes.fromhex("525400123456020000000001") + b"\x88\xb5" + os.urandom(n - 14)
        a.send(frame)
        assert b.receive()[1] == turned(frame), "a frame of %d bytes crossed as another" % n

virtio("virtio-net", "virtio-net-pci")
virtio("virtio-net, four queues", "virtio-net-pci,mq=on,vectors=10", 4)
virtio("virtio-net, legacy, no indirect descriptors, by flags", "virtio-net-pci,disable-modern=on,indirect_desc=off,event_idx=off")
virtio("virtio-net, one buffer to a frame", "virtio-net-pci,mrg_rxbuf=off", uncut=False)
cards()
addresses()
on_amphi_hv()
jumbo()
P
PYTHONPATH=tests/lib unshare -rn python3 -B "$work/drive.py"
