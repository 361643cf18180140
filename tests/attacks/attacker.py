"""An attacker: any local user who may create what it likes in the drop directory and talk to the control socket.

attacker.py NAME: does it, says `ready`, goes on with it until its input ends. What it says after that is what it got at. Where the
kernel refuses, the attack has failed, which is what should happen: no refusal is an error here.
"""
import contextlib, ctypes, fcntl, json, os, random, resource, signal, socket, stat, subprocess, sys, threading, time, zlib

SPOOL, RUN, SECRET, OWN = (os.environ[name] for name in ("SPOOL", "RUN", "SECRET", "OWN"))
VICTIM, DAEMON, SENDMAIL = os.environ["VICTIM"], int(os.environ["DAEMON"]), os.environ["SENDMAIL"]
NEW, TMP = SPOOL + "/new", SPOOL + "/tmp"
KEPT = []  # files and sockets that stay open
LITTER = []  # names that go at the end
HEARD = []  # bytes that an attacker should not have
trying = contextlib.suppress(OSError)


def new_id():
    return "%08X%08X" % (int(time.time()), random.getrandbits(32))


def envelope(**changes):
    made = {
        "v": 1, "id": new_id(), "size": 0, "crc32": "00000000", "time": "2026-11-22T14:43:49Z",
        "reverse_path": "mallory@sender.example", "recipients": [{"address": "mallory@receiver.example"}], "body": "7bit",
    }
    made.update(changes)
    return made


MESSAGE = b"From: mallory@sender.example\r\nSubject: forged\r\n\r\nBEGIN mallory" + b" x" * 200 + b" END\r\n"


def spool_file(message=MESSAGE, raw=None, **changes):
    """Name and bytes of a file as the contract wants it, but for the changes; `raw` replaces text in the line."""
    made = envelope(size=len(message), **changes)
    line = json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass") + b"\n"
    for old, other in raw or ():
        assert old in line, old
        line = line.replace(old, other)
    checksum = b"%08x" % zlib.crc32(line + message)
    return made["id"], line.replace(b'"crc32":"00000000"', b'"crc32":"' + checksum + b'"') + message


def put(bytes, name, directory=NEW, keep=False):
    """Writes a file with the right mode. In new/ it appears whole: the daemon would claim it before its last byte is written."""
    path = f"{directory}/{name}"
    written = f"{TMP}/t.{new_id()}" if directory == NEW else path
    fd = os.open(written, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o640)
    fcntl.flock(fd, fcntl.LOCK_EX)
    os.write(fd, bytes)
    os.fchmod(fd, 0o640)
    if written != path:
        os.rename(written, path)
    if not keep:
        os.close(fd)
        return None
    fcntl.flock(fd, fcntl.LOCK_UN)
    KEPT.append(fd)
    return fd


def drop(**changes):
    name, bytes = spool_file(**changes)
    put(bytes, name)
    return name


def goes_on(act):
    """Does it again and again until the end."""
    def loop():
        while True:
            with trying:
                act()
            time.sleep(0.0005)
    threading.Thread(target=loop, daemon=True).start()


def read(path):
    with trying:
        HEARD.append(os.read(os.open(path, os.O_RDONLY | os.O_NONBLOCK), 1 << 16))


# Objects.

def symbolic_links():
    for target in (SECRET, f"{SPOOL}/cur/{VICTIM}", "/dev/zero", f"/proc/{DAEMON}/mem", NEW, "../state.sqlite", "."):
        os.symlink(target, f"{NEW}/{new_id()}")


def fifos():
    for mode in (0o640, 0o666, 0o000):
        name = f"{NEW}/{new_id()}"
        os.mkfifo(name)
        # The daemon may have removed it already.
        with trying:
            os.chmod(name, mode)
            KEPT.append(os.open(name, os.O_RDWR | os.O_NONBLOCK))


def directories():
    os.mkdir(f"{NEW}/{new_id()}")
    # Made elsewhere: the daemon removes empty ones at once.
    full, deep = new_id(), new_id()
    os.mkdir(f"{TMP}/{full}")
    put(spool_file()[1], new_id(), f"{TMP}/{full}")
    os.makedirs(f"{TMP}/{deep}" + "/d" * 200)
    for name in (full, deep):
        os.rename(f"{TMP}/{name}", f"{NEW}/{name}")


def devices():
    for kind in (stat.S_IFCHR, stat.S_IFBLK):
        for device in (os.makedev(1, 5), os.makedev(8, 0), os.makedev(5, 0)):
            with trying:
                os.mknod(f"{NEW}/{new_id()}", kind | 0o666, device)
    with trying:
        os.mknod(f"{NEW}/{new_id()}", stat.S_IFCHR | 0o666, 0)


def sockets():
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        one = socket.socket(socket.AF_UNIX, kind)
        os.chdir(NEW)
        one.bind(new_id())
        KEPT.append(one)


def terabytes():
    holes = os.open(f"{NEW}/{new_id()}", os.O_CREAT | os.O_RDWR, 0o640)
    os.truncate(holes, 1 << 40)
    for promised in (1 << 40, (1 << 64) - 1, -1, 1 << 31):
        name, bytes = spool_file()
        bytes = bytes.replace(b'"size":%d' % len(MESSAGE), b'"size":%d' % promised)
        fd = put(bytes, name, keep=True)
        with trying:
            os.truncate(fd, len(bytes) + (promised if 0 < promised < 1 << 41 else 0))


def own_hard_links():
    name, bytes = spool_file()
    put(bytes, name)
    with trying:
        os.link(f"{NEW}/{name}", f"{OWN}/kept")
    outside, bytes = spool_file()
    put(bytes, outside, OWN)
    with trying:
        os.link(f"{OWN}/{outside}", f"{NEW}/{outside}")


def hard_links_of_others():
    for target in (SECRET, f"{SPOOL}/cur/{VICTIM}", f"{SPOOL}/state.sqlite", f"{SPOOL}/alarms.json", "/etc/passwd"):
        for name in (new_id(), VICTIM):
            with trying:
                os.link(target, f"{NEW}/{name}")
                print("linked", target)


def renamed_in():
    for mode in (0o640, 0o2640, 0o4755, 0o666):
        name, bytes = spool_file()
        put(bytes, name, OWN)
        os.chmod(f"{OWN}/{name}", mode)
        with trying:
            os.rename(f"{OWN}/{name}", f"{NEW}/{name}")
    name, bytes = spool_file()
    os.makedirs(f"{OWN}/{name}/d")
    with trying:
        os.rename(f"{OWN}/{name}", f"{NEW}/{name}")


def strange_names():
    names = [b"-rf", b"--", b"\x1b[2J\x07", b"two\nlines", b"\xff\xfe\x80", b"n" * 255, b" ", b"...", b"a" * 16, b"0123456789abcdef",
             b"0000000000000000 ", b".0000000000000001", b"#1", b"%n%s", "‮gnp".encode(), b"id\rx", b"$(id)", b"t.0000000000000001"]
    for name in names:
        with trying:
            put(spool_file()[1], os.fsdecode(name))
        with trying:
            os.symlink(SECRET, f"{NEW}/".encode() + name + b"l")


def flood_of_names():
    for number in range(100_000):
        os.symlink("x", f"{NEW}/{number:016X}")


def litter():
    for number in range(300):
        put(b"x" * 100, f"t.{number:016X}", TMP)
        os.symlink(SECRET, f"{TMP}/s{number}")
        os.mkfifo(f"{TMP}/f{number}")
        os.mkdir(f"{TMP}/d{number}")


# Forgeries.

def forged_peer():
    for uid in (0, 4301, 4242):
        drop(peer={"uid": uid, "gid": uid, "pid": 1})


def unknown_keys():
    for key in ("uid", "relay", "V", "verified", "next_hop", "__proto__"):
        drop(**{key: 0})
    drop(raw=[(b'"v":1', b'"v":1,"v":1')])
    drop(recipients=[{"address": "mallory@receiver.example", "uid": 0}])


def control_characters():
    for evil in ("\r\nRCPT TO:<stolen@receiver.example>", "\n", "\0", "\r", "\x1b[2J", "\x85", "> SIZE=1\r\nDATA"):
        for key in ("envid", "time", "deliver_by", "hold_until"):
            drop(**{key: "a" + evil})
        drop(reverse_path=f"mallory{evil}@sender.example")
        drop(recipients=[{"address": f"mallory@receiver.example{evil}"}])
        drop(recipients=[{"address": "mallory@receiver.example", "original": evil, "orcpt": f"rfc822;a{evil}"}])
        drop(notices=[evil])
        drop(claimed={"exe": evil, "cwd": evil, "unit": evil})


def huge_envelopes():
    many = [{"address": f"mallory{number}@receiver.example"} for number in range(10_001)]
    drop(recipients=many)
    drop(recipients=[])
    drop(notices=["x" * (9 << 20)])
    put(b"{" * (9 << 20), new_id())
    put(b"[" * (1 << 20) + b"\n", new_id())


def newer_versions():
    for version in (2, 99, (1 << 32) - 1):
        drop(v=version)
    for version in (0, -1, 1 << 40, "1", None, 1.5):
        drop(v=version)


def id_of_another():
    name, bytes = spool_file(id=VICTIM)
    put(bytes, name)
    drop(raw=[(b'"id":"', b'"id":"' + VICTIM.encode()[:4])])
    other, bytes = spool_file(id=VICTIM)
    put(bytes, new_id())


def name_of_another():
    drop(reverse_path="uid4301@sender.example", claimed={"gid": 4301, "pid": DAEMON, "exe": "/usr/sbin/sendmail", "unit": "cron.service"})
    drop(reverse_path="", message=b"From: uid4301@sender.example\r\nReceived: from userid 0\r\n\r\nBEGIN mallory END\r\n")


def replay():
    name, bytes = spool_file(recipients=[{"address": "replayed@receiver.example"}])
    put(bytes, name)
    goes_on(lambda: put(bytes, name))


def smuggled():
    inner = b"MAIL FROM:<root@sender.example>\r\nRCPT TO:<stolen@receiver.example>\r\nDATA\r\nFrom: root@sender.example\r\n\r\nsmuggled\r\n"
    for end in (b"\r\n.\r\n", b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r\n\0.\r\n", b"\r\n.\r", b"\r\n\r\n.\r\n"):
        drop(message=MESSAGE + end + inner + end + b"\r\n")


def honest():
    """What the others begin with: were it no message, nothing else would be tried."""
    drop(recipients=[{"address": "honest@receiver.example"}])


# Races.

def changed_while_sent():
    """Each file is whole when it is claimed; its owner goes on writing through the descriptor that it kept."""
    held = [(put(bytes, name, keep=True), len(bytes)) for name, bytes in (spool_file() for _ in range(30))]

    def change():
        fd, length = random.choice(held)
        os.pwrite(fd, b"EVIL", length - random.randrange(20, 300))
    goes_on(change)


def cut_while_sent():
    held = [(put(bytes, name, keep=True), bytes) for name, bytes in (spool_file() for _ in range(30))]

    def cut():
        fd, bytes = random.choice(held)
        os.ftruncate(fd, random.randrange(len(bytes)))
        os.pwrite(fd, bytes, 0)
        os.ftruncate(fd, len(bytes) + random.randrange(3))
    goes_on(cut)


def lease():
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    for _ in range(20):
        name, bytes = spool_file()
        put(bytes, name, OWN)
        fd = os.open(f"{OWN}/{name}", os.O_RDWR)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        KEPT.append(fd)
        os.rename(f"{OWN}/{name}", f"{NEW}/{name}")


def locked():
    for _ in range(200):
        name, bytes = spool_file()
        fd = os.open(f"{NEW}/{name}", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o640)
        fcntl.flock(fd, fcntl.LOCK_EX)
        os.write(fd, bytes)
        KEPT.append(fd)


def locked_spool():
    for directory, _, names in os.walk(SPOOL):
        for path in [directory] + [f"{directory}/{name}" for name in names]:
            with trying:
                fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                KEPT.append(fd)


def swapped():
    """RENAME_EXCHANGE between a message, a link to the secret, a FIFO and a directory, as fast as it goes."""
    exchange, libc = 2, ctypes.CDLL(None)
    names = [f"{NEW}/{new_id()}" for _ in range(4)]

    def swap():
        with trying:
            name, bytes = spool_file()
            put(bytes, name)
            os.rename(f"{NEW}/{name}", names[0])
        with trying:
            os.symlink(SECRET, names[1])
        with trying:
            os.mkfifo(names[2], 0o640)
        with trying:
            os.mkdir(names[3])
        for _ in range(20):
            one, other = random.sample(names, 2)
            libc.renameat2(-100, one.encode(), -100, other.encode(), exchange)
    goes_on(swap)


def stopped_injectors():
    for number in range(12):
        child = subprocess.Popen([SENDMAIL, "-i", "mallory@receiver.example"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        KEPT.append(child)
        with trying:
            child.stdin.write(b"Subject: half\n\nhalf of mallory\n" * 3000)
        if number % 3 == 0:
            child.stdin.close()
        time.sleep(random.random() / 50)
        child.send_signal(signal.SIGSTOP if number % 2 else signal.SIGKILL)


# The directories, the disk, the process.

def sticky():
    own = put(spool_file()[1], new_id(), OWN)
    for name in (VICTIM,):
        for directory in ("new", "cur", "hold", "failed", "corrupt", "trash", "tmp"):
            path = f"{SPOOL}/{directory}/{name}"
            read(path)
            for act in (os.unlink, lambda p: os.rename(p, p + "x"), lambda p: os.chmod(p, 0o666), lambda p: os.truncate(p, 0),
                        lambda p: os.rename(p, f"{OWN}/stolen"), lambda p: os.chown(p, os.getuid(), -1), os.utime):
                with trying:
                    act(path)
    for directory in ("new", "cur", "hold", "failed", "corrupt", "trash", "tmp"):
        path = f"{SPOOL}/{directory}"
        for act in (os.rmdir, lambda p: os.rename(p, p + "x"), lambda p: os.chmod(p, 0o777), os.listdir,
                    lambda p: os.rename(p, f"{OWN}/stolen")):
            with trying:
                act(path)
        with trying:
            HEARD.extend(os.fsencode(name) for name in os.listdir(path))


def state_files():
    for name in os.listdir(SPOOL):
        path = f"{SPOOL}/{name}"
        if os.path.isfile(path) and name != "alarms.json":
            read(path)
        for act in (os.unlink, lambda p: os.truncate(p, 0), lambda p: os.rename(p, p + "x"), lambda p: os.chmod(p, 0o666)):
            if os.path.isfile(path):
                with trying:
                    act(path)
    for act in (lambda: os.symlink(SECRET, f"{SPOOL}/state.sqlite-journal"), lambda: os.mkdir(f"{SPOOL}/extra")):
        with trying:
            act()
            print("made in the spool's root")


def own_socket():
    for name in os.listdir(RUN):
        for act in (os.unlink, lambda p: os.rename(p, p + "x"), lambda p: os.chmod(p, 0)):
            with trying:
                act(f"{RUN}/{name}")
    with trying:
        one = socket.socket(socket.AF_UNIX)
        one.bind(f"{RUN}/other.sock")
        print("bound in the run directory")


def full_disk():
    limit = os.open(f"{TMP}/ballast", os.O_CREAT | os.O_RDWR, 0o600)
    os.unlink(f"{TMP}/ballast")
    KEPT.append(limit)
    for size in (1 << 20, 4096, 1):
        with trying:
            while True:
                os.write(limit, b"x" * size)


def no_inodes():
    with trying:
        while True:
            LITTER.append(f"{TMP}/i{len(LITTER)}")
            os.symlink("x", LITTER[-1])


def process_memory():
    for name in ("environ", "mem", "maps", "auxv", "io", "stack", "syscall"):
        read(f"/proc/{DAEMON}/{name}")
    for name in ("fd", "fdinfo", "map_files", "cwd", "root", "exe"):
        with trying:
            HEARD.extend(os.fsencode(entry) for entry in os.listdir(f"/proc/{DAEMON}/{name}"))
            print("listed", name)
    libc = ctypes.CDLL(None, use_errno=True)
    for request in (16, 0x4206):  # PTRACE_ATTACH, PTRACE_SEIZE
        if libc.ptrace(request, DAEMON, 0, 0) == 0:
            print("traced")
    buffer = ctypes.create_string_buffer(8)
    if libc.syscall(438, libc.syscall(434, DAEMON, 0), 0, 0) >= 0:  # pidfd_getfd(pidfd_open())
        print("took a descriptor", buffer)


def signals():
    for number in range(1, 65):
        with trying:
            os.kill(DAEMON, number)
            print("signalled", number)
    with trying:
        resource.prlimit(DAEMON, resource.RLIMIT_NOFILE, (1, 1))
        print("limited")
    with trying:
        os.sched_setaffinity(DAEMON, {0})
        print("bound to a processor")
    with trying:
        os.setpriority(os.PRIO_PROCESS, DAEMON, 19)
        print("slowed down")


# The control socket.

def connect():
    one = socket.socket(socket.AF_UNIX)
    one.settimeout(600)
    one.connect(RUN + "/control.sock")
    return one


def ask(bytes):
    heard = b""
    with trying:
        one = connect()
        one.sendall(bytes)
        while len(heard) < 1 << 20:
            some = one.recv(1 << 16)
            if not some:
                break
            heard += some
    return heard


def garbage():
    for bytes in (b"\n", b"\0" * 70000, b"[" * 65000 + b"\n", b'{"verb":"list"', b'{"verb":"\xff"}\n', b'{"verb":"list","ids":["../../etc/passwd"]}\n',
                   b'{"verb":"cat","id":"../../../etc/passwd","part":"raw"}\n', b'{"verb":"show","id":"' + b"A" * 60000 + b'"}\n',
                   b'{"verb":"act","act":"remove","ids":' + json.dumps(["0" * 16] * 3000).encode() + b"}\n",
                   b'{"verb":"flush","select":{"by":"id","text":"","except":true}}x\n', os.urandom(1 << 16)):
        ask(bytes)


def idle_connections():
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    for _ in range(600):
        with trying:
            one = socket.socket(socket.AF_UNIX)
            one.setblocking(False)
            one.connect(RUN + "/control.sock")
            KEPT.append(one)
            one.send(b'{"verb":')


def deaf_connections():
    for _ in range(100):
        with trying:
            one = connect()
            KEPT.append(one)
            one.send(b'{"verb":"list"}\n')


def flood_of_requests():
    goes_on(lambda: connect().close())
    goes_on(lambda: ask(b'{"verb":"status"}\n'))
    goes_on(lambda: ask(b'{"verb":"flush","select":{"by":"all"}}\n'))


def submissions():
    """The second door: garbage, words that never end, and a peer that is claimed in them."""
    name, bytes = spool_file(peer={"uid": 4301, "gid": 4301, "pid": 1})
    for text in (b"\n", b"\0" * 70000, b"[" * (1 << 20), bytes, os.urandom(1 << 16), bytes[:100]):
        with trying:
            one = socket.socket(socket.AF_UNIX)
            one.settimeout(1)
            one.connect(RUN + "/submit.sock")
            one.sendall(text)
            KEPT.append(one)
    for _ in range(300):
        with trying:
            one = socket.socket(socket.AF_UNIX)
            one.setblocking(False)
            one.connect(RUN + "/submit.sock")
            KEPT.append(one)
            one.send(b'{"v":1')


def requests_about_another():
    """Every verb, about the victim's message. The answers are heard."""
    subjects = (VICTIM, VICTIM.lower(), "receiver.example", VICTIM[:8])
    requests = [{"verb": "list"}, {"verb": "list", "ids": [VICTIM]}, {"verb": "count"}]
    for subject in subjects:
        requests += [{"verb": "show", "id": subject}, {"verb": "trace", "subject": subject, "limit": 10}, {"verb": "why", "subject": subject},
                     {"verb": "find", "message_id": "<waits@sender.example>"}]
        requests += [{"verb": "cat", "id": subject, "part": part} for part in ("raw", "message", "headers", "body")]
        requests += [{"verb": "act", "act": act, "ids": [subject]} for act in ("hold", "release", "remove", "requeue", "expire", "bounce", "flush")]
        requests += [{"verb": "flush", "select": {"by": "id", "text": subject}}]
    requests += [{"verb": "act", "act": act, "ids": []} for act in ("hold", "remove", "bounce", "expire")]
    requests += [{"verb": "pause", "on": True}, {"verb": "look"}]
    for request in requests:
        HEARD.append(ask(json.dumps(request).encode() + b"\n"))
    ask(b'{"verb":"pause","on":false}\n')


def main():
    os.umask(0o022)
    # Anybody may send SIGCONT within a session.
    os.setsid()
    globals()[sys.argv[1]]()
    print("ready", flush=True)
    sys.stdin.read()
    for child in KEPT:
        if isinstance(child, subprocess.Popen):
            child.kill()
    for name in LITTER:
        with trying:
            os.unlink(name)
    sys.stdout.flush()
    sys.stdout.buffer.write(b"\n".join(HEARD))
    sys.stdout.flush()
    os._exit(0)


main()
