#!/usr/bin/env python3
"""What hostile input costs `sendmail`: instructions when an input doubles, the largest header section, and messages in one -bs session.

    benches/hostile.py [SENDMAIL [SPOOL-DIRECTORY]]     default: target/debug/sendmail, a new directory below target/

Prints the tables of docs/PERFORMANCE.md. Instructions are counted by valgrind, whose count does not depend on the load of the machine;
those of an empty message are taken off before ratios are made. Times are user CPU, medians of three runs. strace counts the fsync calls.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RUNS = 3
MIB = 1 << 20
# A header section has 1 MiB at most, so its pieces are half of that, and then all of it.
HEADER = MIB // 2 - 4096

# Name, arguments, what stands once before, what is repeated, what stands once after, bytes of the smaller one.
INPUTS = [
    ("comments that nest", ["-t"], "To: ", "(", "\n\nx\n", HEADER),
    ("comments", ["-t"], "To: a@x.example", "(\u00fc)", "\n\nx\n", HEADER),
    ("quotes that do not close", ["-t"], "To: ", '"\\', "\n\nx\n", HEADER),
    ("brackets", ["-t"], "To: ", "<", "\n\nx\n", HEADER),
    ("commas", ["-t"], "To: a@x.example", ",", "\n\nx\n", HEADER),
    ("one address again and again", ["-t"], "To: ", "a@x.example,", "\n\nx\n", HEADER),
    ("malformed addresses", ["-t"], "To: ", "a b,", "\n\nx\n", HEADER),
    ("names in raw 8-bit text", ["-t"], "To: a@x.example", ",\u00fc <a@x.example>", "\n\nx\n", HEADER),
    ("groups", ["-t"], "To: a@x.example", ",g:a@x.example;", "\n\nx\n", HEADER),
    ("begins of encoded words", ["a@x.example"], "Subject: ", "=?\u00fc ", "\n\nx\n", HEADER),
    ("one line of blanks", ["a@x.example"], "Subject: a", " ", "b\n\nx\n", HEADER),
    ("one word", ["a@x.example"], "Subject: ", "x", "\n\nx\n", HEADER),
    ("folds", ["a@x.example"], "Subject: a", "\r\n b", "\n\nx\n", HEADER),
    ("short fields", ["a@x.example"], "", "A:\r\n", "\nx\n", HEADER),
    ("Bcc fields", ["-t"], "To: a@x.example\n", "Bcc: a@x.example\r\n", "\nx\n", HEADER),
    ("quoted parameters", ["a@x.example"], "Content-Type: text/plain", ';n="\u00fc"', "\n\nx\n", HEADER),
    ("From_ lines", ["a@x.example"], "", ">From x\n", "A: b\n\nx\n", MIB),
    ("CRs", ["a@x.example"], "\n", "\r", "x\n", MIB),
    ("NULs", ["a@x.example"], "\n", "\0", "x\n", MIB),
    ("lone dots", ["a@x.example"], "\n", ".\n", "x\n", MIB),
    ("line ends", ["a@x.example"], "\n", "\n", "x\n", MIB),
    ("one body line", ["a@x.example"], "\n", "x", "\n", 4 * MIB),
]


class Installation:
    def __init__(self, program, below):
        self.program = program
        self.directory = tempfile.mkdtemp(dir=below)
        config = os.path.join(self.directory, "config/mailchute")
        os.makedirs(config)
        with open(os.path.join(config, "mailchute.toml"), "w", encoding="ascii") as file:
            file.write('mailname = "m.example"\nmessage_size_limit = 0\n')
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "XDG_CONFIG_HOME": os.path.join(self.directory, "config"),
            "XDG_STATE_HOME": os.path.join(self.directory, "state"),
        }
        self.new = os.path.join(self.directory, "state/mailchute/spool/new")
        os.makedirs(self.new, mode=0o700)

    def clear(self):
        for name in os.listdir(self.new):
            os.unlink(os.path.join(self.new, name))

    def run(self, arguments, bytes, prefix=()):
        """Exit code, user CPU seconds, wall seconds, standard output. The input is a file: no writer shares the CPU."""
        with tempfile.TemporaryFile(dir=self.directory) as stdin, tempfile.TemporaryFile() as stdout:
            stdin.write(bytes)
            stdin.seek(0)
            begun = time.monotonic()
            child = subprocess.Popen(
                [*prefix, self.program, *arguments], stdin=stdin, stdout=stdout, stderr=subprocess.DEVNULL, env=self.environment)
            _, status, usage = os.wait4(child.pid, 0)
            wall = time.monotonic() - begun
            child.returncode = os.waitstatus_to_exitcode(status)
            stdout.seek(0)
            return child.returncode, usage.ru_utime, wall, stdout.read()

    def instructions(self, arguments, bytes):
        out = os.path.join(self.directory, "instructions")
        self.run(arguments, bytes, ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", f"--log-file={out}"])
        self.clear()
        with open(out, encoding="utf-8") as file:
            return int(re.search(r"Collected : (\d+)", file.read()).group(1))

    def median(self, arguments, bytes):
        """Exit code, medians of user CPU and wall seconds."""
        runs = [self.run(arguments, bytes) for _ in range(RUNS)]
        self.clear()
        return runs[0][0], statistics.median(run[1] for run in runs), statistics.median(run[2] for run in runs)


def filled(row, size):
    _, _, before, piece, after, _ = row
    return (before + piece * (size // len(piece.encode())) + after).encode()


def linear(installation):
    empty = installation.instructions(["a@x.example"], b"x\n")
    print("| input | bytes | exit | user CPU ms | instructions for an eighth, millions | for a sixteenth | ratio |\n|---|---|---|---|---|---|---|")
    for row in INPUTS:
        # An eighth will do for the ratio: valgrind takes fifty times as long.
        eighth, quarter, large = filled(row, row[5] // 8), filled(row, row[5] // 4), filled(row, 2 * row[5])
        once, twice = (installation.instructions(row[1], bytes) - empty for bytes in (eighth, quarter))
        code, user, _ = installation.median(row[1], large)
        millions = (f"{count / 1e6:.1f}" for count in (twice, once))
        print(f"| {row[0]} | {len(large)} | {code} | {user * 1000:.0f} | {' | '.join(millions)} | {twice / once:.2f} |", flush=True)
        if twice / once >= 2.5 or user > 1 + 0.05 * len(large) / 1e6:
            print("  more than it may", file=sys.stderr)


def largest(installation):
    print("\n| header section | exit | user CPU ms | wall ms |\n|---|---|---|---|")
    for name, count in [("1 MiB with 10,000 recipients", 10_000), ("the same with 10,001", 10_001)]:
        fields = "".join(f"To: Somebody {number} <a{number}@x{number}.example>\n" for number in range(count))
        bytes = (fields + "Subject: " + "s " * ((MIB - len(fields) - count - 64) // 2) + "\n\nx\n").encode()
        code, user, wall = installation.median(["-t"], bytes)
        print(f"| {name}, {len(bytes)} bytes | {code} | {user * 1000:.0f} | {wall * 1000:.0f} |", flush=True)


def session(installation, count=1000):
    message = "MAIL FROM:<f@x.example>\r\nRCPT TO:<a@x.example>\r\nDATA\r\nSubject: s\r\n\r\n" + "x" * 70 + "\r\n.\r\n"
    dialogue = lambda count: ("EHLO h\r\n" + message * count + "QUIT\r\n").encode()
    rates = []
    for _ in range(RUNS):
        code, _, wall, out = installation.run(["-bs"], dialogue(count))
        kept = len(os.listdir(installation.new))
        assert (code, out.count(b"queued as"), kept) == (0, count, count), (code, kept)
        rates.append(count / wall)
        installation.clear()
    trace = os.path.join(installation.directory, "trace")
    installation.run(["-bs"], dialogue(200), ["strace", "-f", "-o", trace, "-e", "trace=fsync,fdatasync,syncfs"])
    with open(trace, encoding="ascii") as file:
        calls = len(re.findall(r"f(?:data)?sync\(|syncfs\(", file.read()))
    print(f"\n-bs: {statistics.median(rates):.0f} messages/s in one session of {count}; {calls} fsync calls for 200 messages")
    print(f"fsync probe: {probe(installation, 500):.0f} files/s, each written and synced alone")


def probe(installation, count):
    """What the disk does for a program that only makes files of 4 KiB and syncs them."""
    begun = time.monotonic()
    for number in range(count):
        file = os.open(os.path.join(installation.new, str(number)), os.O_CREAT | os.O_WRONLY, 0o600)
        os.write(file, b"x" * 4096)
        os.fsync(file)
        os.close(file)
    rate = count / (time.monotonic() - begun)
    installation.clear()
    return rate


def main():
    program = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else os.path.join(TREE, "target/debug/sendmail")
    below = sys.argv[2] if len(sys.argv) > 2 else os.path.join(TREE, "target")
    installation = Installation(program, below)
    linear(installation)
    largest(installation)
    session(installation)
    subprocess.run(["rm", "-r", installation.directory], check=True)


main()
