"""The mail systems that the bench compares: how each is set up in its room, held, and set off.

A peer has: `users` and `groups` that its package makes, `spool`, `command` (how a program sends one message; {} is the message's
number), and the steps below. Between hold and release everything injected stays in the queue. No peer's durability is weakened."""

import os
import shutil
import time

SENDER = "bench@bench.example"
RECIPIENT = "m{}@dest.example"
SINK_PORT = 2525
CONNECTIONS = 20


class Peer:
    name = ""
    users = []  # (name, id); a group has the same name and id
    groups = []  # (name, id)
    spool = ""
    command = []
    can_sign = False

    def install(self, room):
        """Once, before everything else; the packages are unpacked already."""

    def configure(self, room, signed):
        """Writes the configuration. `signed`: each message gets a DKIM signature when it is sent."""
        raise NotImplementedError

    def idle(self, room):
        """Starts what runs on a host that has nothing to send."""

    def make_spool(self, room):
        """The empty spool, as the package's installation makes it."""

    def hold(self, room):
        """Starts what injection needs; nothing is delivered."""

    def queue(self, room):
        """Lets it take what it holds into its queue, and no further."""

    def release(self, room):
        """Sets delivery off. Returns at once."""

    def stop(self, room):
        """Ends what hold and release started and what does not end by itself."""


class Dma(Peer):
    name = "dma"
    spool = "/var/spool/dma"
    command = ["/usr/sbin/sendmail", "-i", "-f", SENDER, RECIPIENT]

    def configure(self, room, signed):
        room.write("/etc/dma/dma.conf", f"SMARTHOST 127.0.0.1\nPORT {SINK_PORT}\nMAILNAME bench.example\nDEFER\n")

    def make_spool(self, room):
        room.own(self.spool, "root", "mail", 0o2775)
        room.write(self.spool + "/flush", "")
        room.own(self.spool + "/flush", "mail", "mail", 0o660)

    def release(self, room):
        room.start(["/usr/sbin/dma", "-q"])


class Postfix(Peer):
    name = "postfix"
    users = [("postfix", 4301)]
    groups = [("postdrop", 4302)]
    spool = "/var/spool/postfix"
    command = ["/usr/sbin/sendmail", "-i", "-f", SENDER, RECIPIENT]

    def configure(self, room, signed):
        shutil.copy(room.path("/usr/share/postfix/master.cf.dist"), room.path("/etc/postfix/master.cf"))
        room.write("/etc/postfix/dynamicmaps.cf", "")
        room.write("/etc/postfix/main.cf", f"""compatibility_level = 3.6
myhostname = bench.example
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
alias_maps =
alias_database =
smtp_dns_support_level = disabled
relayhost = [127.0.0.1]:{SINK_PORT}
default_destination_concurrency_limit = {CONNECTIONS}
initial_destination_concurrency = {CONNECTIONS}
maillog_file = /var/log/postfix.log
defer_transports = smtp
""")
        room.write("/var/log/postfix.log", "")
        room.own("/var/lib/postfix", "postfix", "postfix", 0o755)

        for program in ["postdrop", "postqueue"]:
            room.own("/usr/sbin/" + program, "root", "postdrop", 0o2755)

    def idle(self, room):
        self.hold(room)

    def hold(self, room):
        room.run(["/usr/sbin/postconf", "-e", "defer_transports=smtp"])
        room.start(["/usr/sbin/postfix", "start"]).wait()
        time.sleep(1)

    def release(self, room):
        room.run(["/usr/sbin/postconf", "-e", "defer_transports="])
        room.run(["/usr/sbin/postfix", "reload"])
        time.sleep(1)
        room.released = time.time()
        room.run(["/usr/sbin/postqueue", "-f"])

    def stop(self, room):
        room.start(["/usr/sbin/postfix", "stop"]).wait()


class Exim(Peer):
    name = "exim"
    users = [("Debian-exim", 4303)]
    spool = "/var/spool/exim4"
    command = ["/usr/sbin/sendmail", "-i", "-f", SENDER, RECIPIENT]
    can_sign = True
    runners = 4

    def configure(self, room, signed):
        dkim = ""
        if signed:
            room.copy_key("/etc/exim4/dkim.pem", "Debian-exim")
            dkim = "  dkim_domain = bench.example\n  dkim_selector = s\n  dkim_private_key = /etc/exim4/dkim.pem\n"
        room.write("/etc/exim4/exim4.conf", f"""primary_hostname = bench.example
disable_ipv6
queue_only
untrusted_set_sender = *
local_from_check = false
keep_environment =
log_file_path = /var/log/exim4/%slog
begin routers
sink:
  driver = manualroute
  route_list = * 127.0.0.1 byname
  self = send
  transport = out
begin transports
out:
  driver = smtp
  port = {SINK_PORT}
{dkim}begin retry
* * F,1h,1m
""")
        room.own("/etc/exim4/exim4.conf", "root", "root", 0o644)
        os.makedirs(room.path("/var/log/exim4"), exist_ok=True)
        room.own("/var/log/exim4", "Debian-exim", "Debian-exim", 0o750)

    def make_spool(self, room):
        room.own(self.spool, "Debian-exim", "Debian-exim", 0o750)

    def release(self, room):
        for _ in range(self.runners):
            room.start(["/usr/sbin/exim4", "-q"])


class Mailchute(Peer):
    name = "mailchute"
    spool = "/var/spool/mailchute"
    command = ["/usr/sbin/sendmail", "-i", "-f", SENDER, RECIPIENT]
    can_sign = True
    daemon = None

    def install(self, room):
        """As a person does it, inside the room. Run again, it mends what is missing: the spool."""
        tree = room.base.parent.parent
        room.run(["sh", tree / "install.sh", "--binaries", tree / "target/install", "--replace-mta"])

    def configure(self, room, signed):
        domain = ""
        if signed:
            room.copy_key("/etc/mailchute/keys/bench.example/s.pem", "mailchute")
            domain = "[domain.\"bench.example\"]\nselectors = [\"s\"]\n"
        room.write("/etc/mailchute/mailchute.toml", f"""mailname = "bench.example"
hostname = "bench.example"
next_hop = "smtp://127.0.0.1:{SINK_PORT}?tls=none"
route_connections = {CONNECTIONS}
{domain}""")

    def make_spool(self, room):
        self.install(room)

    def idle(self, room):
        self.release(room)

    def queue(self, room):
        self.release(room)

    def release(self, room):
        self.daemon = room.start(["/usr/sbin/mailchuted"], user="mailchute")

    def stop(self, room):
        if self.daemon:
            self.daemon.terminate()
            self.daemon.wait()
            self.daemon = None


PEERS = {peer.name: peer for peer in [Mailchute(), Dma(), Postfix(), Exim()]}
