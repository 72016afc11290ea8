"""machine.py: our kernel alone in a QEMU, for tests that talk to it and to QEMU by turns: its serial line, and the monitor.

Used by programs of tests/qemu, with PYTHONPATH=tests/lib. What the machine says is looked at in order: wait() goes on behind its
last match; the machine's end ends the program, with what was said last."""
import os, re, socket, subprocess, sys


class Machine:
    def __init__(self, work, *args, mib, seconds, words=""):  # work: a folder; words: the kernel's; args: QEMU's, for devices
        self.text, monitor = "", work + "/mon"
        if os.path.exists(monitor):
            os.unlink(monitor)
        self.qemu = subprocess.Popen(["timeout", "-k", "5", str(seconds), "qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-cpu", "max", "-m",
            str(mib), "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio", "-monitor", "unix:%s,server=on,wait=off" % monitor,
            "-device", "isa-debug-exit,iobase=0xf4", "-kernel", os.environ["BUILD"] + "/amphi", "-append", words, *args],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.wait("@ready")
        self.monitor = socket.socket(socket.AF_UNIX)
        self.monitor.connect(monitor)

    def wait(self, regex):  # its match in what has not been looked at yet
        while True:
            m = re.search(regex, self.text)
            if m:
                self.text = self.text[m.end():]
                return m
            got = os.read(self.qemu.stdout.fileno(), 4096)
            if not got:
                sys.exit("expected /%s/ in:\n%s" % (regex, self.text[-3000:]))
            self.text += got.decode(errors="replace").replace("\r", "")

    def do(self, line, regex):
        self.qemu.stdin.write((line + "\r").encode())
        self.qemu.stdin.flush()
        return self.wait(regex)

    def hmp(self, line):
        self.monitor.send((line + "\n").encode())

    def end(self):
        self.do("halt", "@exit 0")
        self.qemu.wait()
