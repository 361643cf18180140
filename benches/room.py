"""A root of its own for one mail system: an overlay over this machine's file system, in which its packages are unpacked, with its
own network, processes and mounts. Made inside the namespaces that benches/run enters; nothing of it outlives them but what lies
below target/bench. The spool is not on the overlay: it is a directory of the real file system, so that an fsync costs what it costs."""

import os
import pathlib
import shutil
import subprocess
import time

CALLER = 4242


def sh(*command):
    subprocess.run([str(word) for word in command], check=True)


class Room:
    def __init__(self, base, peer):
        self.base, self.peer = pathlib.Path(base), peer
        here = self.base / "rooms" / peer.name
        self.root, self.upper, self.spool, self.output = here / "root", here / "upper", here / "spool", here / "output"
        self.group = Group(f"mailchute-bench-{peer.name}")
        self.released = None

    def build(self):
        work = self.root.parent / "work"
        for directory in [self.root, self.upper, work, self.spool]:
            directory.mkdir(parents=True, exist_ok=True)
        self.output.write_text("")
        sh("mount", "--make-rprivate", "/")
        sh("mount", "-t", "overlay", "overlay", "-o", f"lowerdir=/,upperdir={self.upper},workdir={work}", self.root)
        sh("mount", "-t", "proc", "proc", self.path("/proc"))
        self.make_devices()
        sh("mount", "-t", "tmpfs", "tmpfs", self.path("/run"))
        os.makedirs(self.path("/bench"), exist_ok=True)
        sh("mount", "--bind", self.base / "bin", self.path("/bench"))
        sh("ip", "link", "set", "lo", "up")
        self.add_users()
        self.peer.install(self)
        self.read_ids()
        os.makedirs(self.path(self.peer.spool), exist_ok=True)
        sh("mount", "--bind", self.spool, self.path(self.peer.spool))

    def make_devices(self):
        sh("mount", "-t", "tmpfs", "tmpfs", self.path("/dev"))
        for name in ["null", "zero", "full", "random", "urandom"]:
            self.path("/dev/" + name).touch()
            sh("mount", "--bind", f"/dev/{name}", self.path("/dev/" + name))
        os.symlink("/proc/self/fd", self.path("/dev/fd"))
        os.makedirs(self.path("/dev/shm"))

    def add_users(self):
        people = [("caller", CALLER)] + self.peer.users
        passwd, group = self.path("/etc/passwd").read_text(), self.path("/etc/group").read_text()
        fresh = [(name, number) for name, number in people if f"\n{name}:" not in passwd]
        groups = [(name, number) for name, number in fresh + self.peer.groups if f"\n{name}:" not in group]
        self.write("/etc/passwd", passwd + "".join(f"{name}:x:{number}:{number}::/:/bin/sh\n" for name, number in fresh))
        self.write("/etc/group", group + "".join(f"{name}:x:{number}:\n" for name, number in groups))

    def read_ids(self):
        def ids(inside):
            return {line.split(":")[0]: int(line.split(":")[2]) for line in self.path(inside).read_text().splitlines()}

        self.ids, self.group_ids = ids("/etc/passwd"), ids("/etc/group")

    def path(self, inside):
        return self.root / inside.lstrip("/")

    def write(self, inside, text):
        self.path(inside).parent.mkdir(parents=True, exist_ok=True)
        self.path(inside).write_text(text)

    def own(self, inside, user, group, mode):
        os.chown(self.path(inside), self.ids[user], self.group_ids[group])
        os.chmod(self.path(inside), mode)

    def copy_key(self, inside, user):
        """The RSA-2048 key that all peers sign with, readable by its user alone, and the directories above it."""
        target = self.path(inside)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.base / "dkim.pem", target)
        self.own(inside, user, user, 0o600)
        if inside.startswith("/etc/mailchute/keys/"):
            for directory in ["/etc/mailchute/keys", str(pathlib.PurePath(inside).parent)]:
                self.own(directory, user, user, 0o700)

    def fresh_spool(self):
        for entry in self.spool.iterdir():
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        self.peer.make_spool(self)

    def words(self, command, user):
        change = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
        return ["chroot", str(self.root)] + change + [str(word) for word in command]

    def run(self, command, user=None, limit=600):
        """Runs a command in the room to its end. Out: its standard output."""
        done = subprocess.run(self.words(command, user), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit)
        if done.returncode != 0:
            shown = " ".join(map(str, command))
            raise SystemExit(f"{self.peer.name}: {shown} ended with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def start(self, command, user=None):
        """Starts a command whose processes count as the peer's. Its output goes to a file: a daemon would keep a pipe open."""
        log = open(self.output, "a")
        return subprocess.Popen(
            self.words(command, user), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", preexec_fn=self.group.enter
        )

    def time(self, command):
        """Seconds that a command takes. Its CPU time counts as the peer's; nobody reads what it says."""
        start = time.monotonic()
        null = subprocess.DEVNULL
        subprocess.run(self.words(command, None), stdin=null, stdout=null, stderr=null, check=True, preexec_fn=self.group.enter)
        return time.monotonic() - start

    def memory(self):
        """All processes of the peer together: PSS and RSS in KiB, and their number."""
        pss, rss, count = 0, 0, 0
        for process in self.group.processes():
            try:
                lines = pathlib.Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            except OSError:
                continue
            count += 1
            pss += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
            rss += sum(int(line.split()[1]) for line in lines if line.startswith("Rss:"))
        return pss, rss, count


class Group:
    """A control group: the CPU time of a peer's processes, those that ended included. cgroup v2, or the cpuacct hierarchy of v1."""

    def __init__(self, name):
        v2 = pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists()
        self.directory = pathlib.Path("/sys/fs/cgroup" if v2 else "/sys/fs/cgroup/cpuacct") / name
        self.v2 = v2

    def make(self):
        self.directory.mkdir(exist_ok=True)

    def enter(self):
        (self.directory / "cgroup.procs").write_text(str(os.getpid()))

    def processes(self):
        return [int(number) for number in (self.directory / "cgroup.procs").read_text().split() if number != "0"]

    def cpu(self):
        """Seconds."""
        if self.v2:
            return int((self.directory / "cpu.stat").read_text().split()[1]) / 1e6
        return int((self.directory / "cpuacct.usage").read_text()) / 1e9
