#!/usr/bin/python3 -IS
"""Stands in the place of `sendmail` in the root of the callers, runs ours, and writes down what it was given and what it answered:
what tests/callers/judge.rs judges. To its caller it is `sendmail`: the same octets both ways, the same ends, the same exit code."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

REAL = "/usr/lib/mailchute-under-test/sendmail"

# Some callers close what they do not want to hear; no file of ours may take its place.
while (null := os.open("/dev/null", os.O_RDWR)) < 3:
    pass
os.close(null)
directory = tempfile.mkdtemp(prefix=f"{time.monotonic_ns():020d}-", dir="/srv/calls")
os.chmod(directory, 0o755)


def new(name):
    return os.open(f"{directory}/{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)


def write_all(descriptor, octets):
    while octets:
        octets = octets[os.write(descriptor, octets):]


def copy(source, sink, record):
    """Until the source ends, or the sink does: then the source must feel it."""
    try:
        while octets := os.read(source, 1 << 16):
            write_all(record, octets)
            write_all(sink, octets)
    except OSError:
        pass


def feed(child):
    copy(0, child.stdin.fileno(), new("stdin"))
    child.stdin.close()
    os.close(0)


write_all(new("argv"), b"\0".join(os.fsencode(word) for word in sys.argv[1:]))
write_all(new("uid"), str(os.getuid()).encode())
child = subprocess.Popen(
    sys.argv, executable=REAL, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
# What the caller still has to say does not keep it from hearing how it ended.
threading.Thread(target=feed, args=(child,), daemon=True).start()
outputs = [
    threading.Thread(target=copy, args=(child.stdout.fileno(), 1, new("stdout"))),
    threading.Thread(target=copy, args=(child.stderr.fileno(), 2, new("stderr"))),
]
for output in outputs:
    output.start()
code = child.wait()
for output in outputs:
    output.join()
write_all(new("code.new"), str(code).encode())
os.rename(f"{directory}/code.new", f"{directory}/code")
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
