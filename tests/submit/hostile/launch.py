"""Starts a program in a state that no shell can make: launch.py STATE PROGRAM [ARGUMENT...], the message on standard input."""

import ctypes
import fcntl
import os
import pty
import resource
import signal
import socket
import sys
import tempfile

state, program, words = sys.argv[1], sys.argv[2], sys.argv[3:]


def execute(arguments=None, environment=None):
    given = [program, *words] if arguments is None else arguments
    os.execve(program, given, os.environb if environment is None else environment)


def execute_raw(arguments):
    """What os.execve refuses. argv[0] is NULL where there are no arguments: CVE-2021-4034 began so."""
    nothing = (ctypes.c_char_p * (len(arguments) + 1))(*(word.encode() for word in arguments), None)
    pairs = [name + b"=" + value for name, value in os.environb.items()]
    ctypes.CDLL(None).execve(program.encode(), nothing, (ctypes.c_char_p * (len(pairs) + 1))(*pairs, None))


def feed(open_reader, open_writer):
    """Standard input becomes what open_reader opens; a child writes the message to the other end."""
    message = sys.stdin.buffer.read()
    if os.fork() == 0:
        writer = open_writer()
        while message:
            message = message[os.write(writer, message):]
        os._exit(0)
    os.dup2(open_reader(), 0)


def at_terminal():
    """A person types the message, and then a lone dot."""
    message = sys.stdin.buffer.read()
    person, terminal = pty.openpty()
    child = os.fork()
    if child == 0:
        os.dup2(terminal, 0)
        os.close(person)
        execute()
    os.write(person, message + b".\n")
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def socket_pair(blocking):
    one, other = socket.socketpair()
    one.setblocking(blocking)
    feed(lambda: os.dup(one.fileno()), lambda: os.dup(other.fileno()))
    one.close(), other.close()


def fifo():
    path = os.path.join(tempfile.mkdtemp(), "fifo")
    os.mkfifo(path)
    feed(lambda: os.open(path, os.O_RDONLY), lambda: os.open(path, os.O_WRONLY))


CATCHABLE = set(range(1, 32)) - {signal.SIGKILL, signal.SIGSTOP}

if state == "argc-0":
    execute_raw([])
elif state == "argv0-empty":
    execute_raw(["", *words])
elif state == "argv0-long":
    execute(["x" * 100_000, *words])
elif state == "ignored":
    for number in CATCHABLE:
        signal.signal(number, signal.SIG_IGN)
elif state == "blocked":
    signal.pthread_sigmask(signal.SIG_BLOCK, CATCHABLE)
elif state == "pending":
    signal.pthread_sigmask(signal.SIG_BLOCK, CATCHABLE)
    for number in CATCHABLE:
        os.kill(os.getpid(), number)
elif state == "alarm-later":
    signal.setitimer(signal.ITIMER_REAL, 600)
elif state == "alarm-now":
    signal.setitimer(signal.ITIMER_REAL, 0.003)
elif state == "alarm-profile":
    signal.setitimer(signal.ITIMER_PROF, 0.002)
elif state == "terminal":
    at_terminal()
elif state == "socket":
    socket_pair(True)
elif state == "socket-nonblocking":
    socket_pair(False)
elif state == "fifo":
    fifo()
elif state == "descriptors":
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    for number in range(3, 2000):
        os.dup2(0, number, inheritable=True)
elif state == "arguments-10000":
    execute([program, *words, *["a@x.example"] * 10_000])
elif state == "arguments-10001-different":
    execute([program, *words, *(f"a{number}@x.example" for number in range(10_001))])
elif state == "arguments-2-mib":
    resource.setrlimit(resource.RLIMIT_STACK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    execute([program, *words, *["(" + "c" * 128_000 + ") a@x.example"] * 17])
elif state == "environment-1-mib":
    execute(environment={**os.environb, **{b"V%d" % number: b"x" * 100_000 for number in range(11)}})
elif state == "environment-of-bytes":
    execute(environment={**os.environb, b"NAME": b"\xff\xfe\x80", b"\xff\xc3": b"\x80", b"LANG": b"\xff", b"TZ": b"\xff"})
elif state == "environment-empty-words":
    execute(environment={**os.environb, b"NAME": b"", b"HOME": b"", b"PATH": b"", b"TZ": b""})
elif state == "no-dump-limit":
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
else:
    sys.exit(f"no such state: {state}")
execute()
