"""Measures one mail system once. Out: one line of JSON on standard output. Runs inside the namespaces that benches/run makes.

    measure.py BASE PEER MESSAGES CALLS LISTED"""

import json
import os
import re
import socket
import subprocess
import sys
import time
from statistics import median

from peers import PEERS, RECIPIENT, SINK_PORT
from room import CALLER, Room

PATIENCE = 180  # seconds for one drain
LISTINGS = 11


def main():
    base, name, (messages, calls, listed) = sys.argv[1], sys.argv[2], map(int, sys.argv[3:])
    peer = PEERS[name]
    room = Room(base, peer)
    room.group.make()
    room.build()
    row = {"peer": name, "messages": messages, "calls": calls, "listed": listed, "load": os.getloadavg()[0]}
    try:
        row |= idle(room, peer)
        row |= injection(room, peer, calls)
        row |= listing(room, peer, listed)
        row |= drain(room, peer, messages, signed=False)
        if peer.can_sign:
            row |= drain(room, peer, messages, signed=True)
    finally:
        peer.stop(room)
    print(json.dumps(row))


def callers(room, count, jobs, first):
    out = room.run(["/bench/callers", count, jobs, first, "/bench/message.eml", *room.peer.command], user=CALLER)
    result = json.loads(out)
    if result["failures"]:
        raise SystemExit(f"{room.peer.name}: {result['failures']} of {count} injections failed")
    return result


def probe(room):
    """Microseconds of open, write 4 KiB, fsync on the disk of the spool: what the machine was doing."""
    return int(subprocess.run([room.base / "bin/callers", "--probe", room.spool, "40"], capture_output=True, text=True, check=True).stdout)


def settle(room, limit=120):
    """Waits until the peer's processes are idle."""
    last, end = -1.0, time.time() + limit
    while time.time() < end:
        now = room.group.cpu()
        if now - last < 0.002:
            return
        last = now
        time.sleep(0.4)


def idle(room, peer):
    """The memory of what waits for mail."""
    peer.configure(room, signed=False)
    room.fresh_spool()
    peer.idle(room)
    time.sleep(2)
    settle(room)
    pss, rss, _ = room.memory()
    peer.stop(room)
    return {"idle_pss_kib": pss, "idle_rss_kib": rss}


def injection(room, peer, calls):
    room.fresh_spool()
    peer.hold(room)
    settle(room)
    row = {"probe_us": probe(room)}
    callers(room, 20, 1, 0)
    settle(room)
    before = room.group.cpu()
    one = callers(room, calls, 1, 100)
    settle(room)
    row |= {"inject_wall_us": one["wall_us"], "inject_min_us": one["wall_min_us"], "inject_cpu_us": one["cpu_us"]}
    row["inject_cpu_all_us"] = one["cpu_us"] + (room.group.cpu() - before) * 1e6 / calls
    eight = callers(room, calls * 2, 8, 1000)
    row["inject_8way_per_s"] = eight["count"] / eight["seconds"]
    settle(room)
    row |= system_calls(room, peer)
    peer.stop(room)
    return row


def system_calls(room, peer):
    """One injection under strace: calls in all, and the expensive kinds."""
    command = [word.replace("{}", "99") for word in peer.command]
    line = ["sh", "-c", 'exec "$@" < /bench/message.eml', "sh", "strace", "-f", "-qq", "-u", "caller", "-o", "/tmp/trace", *command]
    room.run(line)
    trace = room.path("/tmp/trace").read_text().splitlines()
    names = [match[1] for match in (re.match(r"\d+\s+(\w+)\(", text) for text in trace) if match]
    count = lambda *kinds: sum(name in kinds for name in names)
    return {
        "calls_total": len(names),
        "calls_fsync": count("fsync", "fdatasync", "syncfs", "sync"),
        "calls_fork": count("fork", "vfork", "clone", "clone3"),
        "calls_exec": count("execve"),
    }


def listing(room, peer, listed):
    """`mailq` of a long queue, with nobody who takes mail. CPU: of the command and of the daemons that it asks."""
    peer.configure(room, signed=False)
    room.fresh_spool()
    peer.hold(room)
    callers(room, listed, 8, 0)
    peer.queue(room)
    settle(room)
    room.run(["sh", "-c", "/usr/sbin/sendmail -bp >/tmp/listing"])
    # Each message has a line of its recipient.
    shown = room.path("/tmp/listing").read_text().count(RECIPIENT.split("{}")[1])
    if shown != listed:
        raise SystemExit(f"{peer.name}: mailq shows {shown} of {listed}")
    before = room.group.cpu()
    walls = [room.time(["/usr/sbin/sendmail", "-bp"]) for _ in range(LISTINGS)]
    row = {"list_wall_us": median(walls) * 1e6, "list_cpu_us": (room.group.cpu() - before) * 1e6 / LISTINGS}
    peer.stop(room)
    return row


def statistics():
    with socket.create_connection(("127.0.0.1", SINK_PORT + 1)) as peer:
        return json.loads(peer.makefile().readline())


def drain(room, peer, messages, signed):
    """Fills the held queue, starts the sink, sets delivery off, and waits for the last dot."""
    peer.configure(room, signed)
    room.fresh_spool()
    peer.hold(room)
    callers(room, messages, 8, 0)
    settle(room)
    sink = subprocess.Popen([room.base / "bin/sink", str(SINK_PORT)])
    time.sleep(0.2)
    quiet, cpu, room.released = probe(room), room.group.cpu(), None
    start = time.time()
    peer.release(room)
    start = room.released or start
    peak, seen = (0, 0, 0), statistics()
    while seen["distinct"] < messages and time.time() - start < PATIENCE:
        peak = tuple(map(max, peak, room.memory()))
        time.sleep(0.25)
        seen = statistics()
    spent = room.group.cpu() - cpu
    peer.stop(room)
    sink.terminate()
    sink.wait()
    kind = "signed" if signed else "unsigned"
    if seen["distinct"] == 0:
        raise SystemExit(f"{peer.name}: nothing arrived within {PATIENCE} s; see {room.output}")
    return {
        f"{kind}_probe_us": quiet,
        f"{kind}_per_s": seen["distinct"] / (seen["last"] - start),
        f"{kind}_first_to_last_per_s": seen["distinct"] / max(seen["last"] - seen["first"], 1e-6),
        f"{kind}_cpu_us": spent * 1e6 / seen["distinct"],
        f"{kind}_missing": messages - seen["distinct"],
        f"{kind}_doubled": seen["messages"] - seen["distinct"],
        f"{kind}_signatures": seen["signed"],
        f"{kind}_connections": seen["connections"],
        f"{kind}_connections_peak": seen["peak"],
        f"{kind}_pss_kib": peak[0],
        f"{kind}_rss_kib": peak[1],
        f"{kind}_processes": peak[2],
    }


if __name__ == "__main__":
    main()
