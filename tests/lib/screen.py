"""screen.py: takes pictures of a QEMU's screen by its monitor and reads the letters: screen.py WORK SECONDS REGEX....
WORK/monitor is the monitor's socket. Ends with 0 when for each REGEX
a line of one picture matches, and prints the last picture's lines. Letters are
those of kernel/console_font.c in cells of 8 by 16; a picture of 720 by 400 is VGA's text mode, whose letters
are the firmware's, so there the cells' bytes are read from memory at 0xb8000. Python because a picture is bytes."""
import os, re, socket, sys, time

work, seconds, wants = sys.argv[1], float(sys.argv[2]), [re.compile(w) for w in sys.argv[3:]]


def font():
    rows = re.findall(r"^\t\{(0x.*?)\},", open("kernel/console_font.c").read(), re.M)
    letters = [tuple(int(v, 16) for v in row.split(",")) for row in rows]
    assert len(letters) == 95 and len(set(letters)) == 95, "letters that do not differ"
    return {letter: chr(32 + i) for i, letter in enumerate(letters)}


class Monitor:
    def __init__(self, path, end):
        self.socket = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError:
                if time.time() > end:
                    raise
                time.sleep(0.1)
        self.socket.settimeout(20)
        self.answer()

    def answer(self):
        text = b""
        while not text.endswith(b"(qemu) "):
            more = self.socket.recv(65536)
            if not more:
                raise OSError("QEMU has ended")
            text += more
        return text.decode("latin1")

    def ask(self, line):
        self.socket.sendall(line.encode() + b"\n")
        return self.answer()


def picture(path):
    data = open(path, "rb").read()
    head = re.match(rb"P6\s+(\d+)\s+(\d+)\s+255\s", data)
    return int(head[1]), int(head[2]), data[head.end():]


def cell(pixels, width, x, y, letters):
    bits = []
    for row in range(16):
        at = ((y * 16 + row) * width + x * 8) * 3
        line = pixels[at:at + 24:3]  # red will do: the console is grey
        bits.append(sum(1 << 5 - i for i in range(8) if i < 6 and line[i]) | (64 if line[6] or line[7] else 0))
    if bits[0::2] != bits[1::2]:
        return "\0"
    return letters.get(tuple(bits[0::2]), "\0")


def pixel_lines(width, height, pixels, letters):
    for y in range(min(height // 16, 48)):
        yield "".join(cell(pixels, width, x, y, letters) for x in range(min(width // 8, 128)))


def text_lines(monitor):
    dump = monitor.ask("xp /2000hx 0xb8000")
    dump = " ".join(re.findall(r"^[0-9a-f]+: (.*)$", dump, re.M))  # without the echo
    cells = [int(v, 16) & 255 for v in re.findall(r"0x([0-9a-f]{4})\b", dump)]
    text = "".join(chr(c) if 32 <= c < 127 else "\0" for c in cells)
    for y in range(0, len(text), 80):
        yield text[y:y + 80]


def lines(monitor, letters):
    path = os.path.join(work, "picture")
    monitor.ask("screendump " + path)
    width, height, pixels = picture(path)
    if (width, height) == (720, 400):
        return list(text_lines(monitor))
    return list(pixel_lines(width, height, pixels, letters))


end, letters, seen = time.time() + seconds, font(), []
try:
    monitor = Monitor(os.path.join(work, "monitor"), end)
    while time.time() < end:
        seen = [line.rstrip() for line in lines(monitor, letters)]
        if all(any(want.search(line) for line in seen) for want in wants):
            sys.exit(0)
        time.sleep(0.3)
except OSError as error:
    print(error)
print("\n".join(line for line in seen if line.strip("\0")))
sys.exit(1)
