"""monitor.py: QEMU's monitor for shell tests. `monitor.py SOCKET LINE...` says each line, and waits for the prompt behind it;
`pull BUS:DEVICE.FUNCTION` takes what is in the slot of that pcie-root-port, without a word to its owner; `peek BUS:DEVICE.FUNCTION OFFSET` prints four bytes
of configuration space, `poke ... VALUE` writes them.

QEMU lets a device be pulled out by itself when its slot's power is off (device_del only asks): so the slot's control register is
written, by the ports of configuration space, while the machine stands still, and their state put back: the guest may be between its own two accesses.
"""
import re, socket, sys

SLOT_CONTROL = 0x54 + 0x18  # QEMU's pcie-root-port has its PCI Express capability there
POWER_OFF = 0x0700          # the controller and the indicator


class Monitor:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.prompt()

    def prompt(self):
        text = b""
        while not text.endswith(b"(qemu) "):
            got = self.socket.recv(65536)
            if not got:
                sys.exit("the monitor is gone")
            text += got
        return text.decode(errors="replace")

    def say(self, line):
        self.socket.send(line.encode() + b"\n")
        return self.prompt()

    def port(self, at, width):
        return int(re.search(r"\] = (0x[0-9a-f]+)", self.say("i /%dx %#x" % (width, at))).group(1), 16)

    def config(self, name, offset, width, change):  # change(old): what is written, None: nothing
        bus, device, function = (int(n, 16) for n in re.split("[:.]", name))
        self.say("stop")
        selected = self.port(0xCF8, 4)
        self.say("o /4x 0xcf8 %#x" % (1 << 31 | bus << 16 | device << 11 | function << 8 | offset))
        old = self.port(0xCFC, width)
        new = change(old)
        if new is not None:
            self.say("o /%dx 0xcfc %#x" % (width, new))
        self.say("o /4x 0xcf8 %#x" % selected)
        self.say("cont")
        return old


monitor = Monitor(sys.argv[1])
if sys.argv[2] == "pull":
    monitor.config(sys.argv[3], SLOT_CONTROL, 2, lambda old: old | POWER_OFF)
elif sys.argv[2] == "peek":
    print("%#x" % monitor.config(sys.argv[3], int(sys.argv[4], 0), 4, lambda old: None))
elif sys.argv[2] == "poke":
    monitor.config(sys.argv[3], int(sys.argv[4], 0), 4, lambda old: int(sys.argv[5], 0))
else:
    for line in sys.argv[2:]:
        if "rror:" in (answer := monitor.say(line)):
            sys.exit(answer)
