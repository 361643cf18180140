#!/bin/sh
# The demonstration: `sendmail -t` sends one signed message to a mail server. `./install.sh demo` builds and calls this.
#
# In:   the directory of the built programs. Out: a report of each step.
# Runs: as any user, with scratch directories and a loopback port; in any case everything is stopped and removed at the end.
# Ends: 0 only if the message arrived and its DKIM signature verified.
set -eu
umask 077

programs=$1
scratch=$(mktemp -d)
export XDG_CONFIG_HOME="$scratch/config" XDG_STATE_HOME="$scratch/state"
config=$XDG_CONFIG_HOME/mailchute/mailchute.toml
daemon='' receiver=''

say() { printf '%s\n' "$*"; }
step() { printf '\n== %s\n' "$*"; }
# Prints a command, then runs it.
show() {
    printf '$ %s\n' "$*"
    program=$1
    shift
    "$programs/$program" "$@"
}

finish() {
    code=$?
    trap '' HUP INT TERM
    for pid in $daemon $receiver; do kill "$pid" 2>/dev/null || true; done
    for pid in $daemon $receiver; do wait "$pid" 2>/dev/null || true; done
    if [ "$code" != 0 ]; then
        say "" "The demonstration failed. Output of the daemon and the receiver:"
        cat "$scratch/daemon.log" "$scratch/receiver.log" 2>/dev/null || true
    fi
    rm -rf "$scratch"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' HUP TERM

# Waits until `$@` succeeds, at most five minutes, for slow machines.
wait_until() {
    tries=3000
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.1
    done
}
die() {
    say "$*"
    exit 1
}

step "A DKIM key for demo.example"
show mailchute dkim keygen demo.example demo
mkdir -p "${config%/*}"
cat >"$config" <<END
[domain."demo.example"]
selectors = ["demo"]
END
record=$("$programs/mailchute" dkim dns demo.example | grep -o 'v=DKIM1;[^"]*' | head -n 1)
[ -n "$record" ] || die "mailchute dkim dns printed no record."

step "A mail server on loopback, with the published key"
"$programs/examples/receiver" --key "demo._domainkey.demo.example=$record" --wait 300 >"$scratch/receiver.log" 2>&1 &
receiver=$!
wait_until grep -q '^listening on ' "$scratch/receiver.log" || die "The receiver did not start."
port=$(sed -n 's/^listening on .*://p' "$scratch/receiver.log")
say "listening on 127.0.0.1:$port"

step "The configuration and the daemon"
{
    say 'mailname = "demo.example"'
    say "next_hop = \"smtp://127.0.0.1:$port?tls=none\""
    cat "$config"
} >"$config.new"
mv "$config.new" "$config"
sed 's/^/  | /' "$config"
say '$ mailchuted &'
"$programs/mailchuted" >"$scratch/daemon.log" 2>&1 &
daemon=$!
wait_until test -S "$XDG_STATE_HOME/mailchute/control.sock" || die "The daemon did not start."

step "A message, sent like any program does"
say '$ sendmail -t -v < message'
cat >"$scratch/message" <<'END'
From: Demo <alice@demo.example>
To: bob@example.net
Bcc: carol@example.net
Subject: Down the chute

Hello. A line with a dot follows, and this is the last line but two.
.
Bye.
END
queued=$("$programs/sendmail" -t -v <"$scratch/message")
say "$queued"
id=${queued##* }

step "The message as received"
code=0
wait "$receiver" || code=$?
receiver=''
sed -n '2,$p' "$scratch/receiver.log"
[ "$code" = 0 ] || die "No message with a valid signature arrived."

step "The history"
queue_is_empty() { "$programs/sendmail" -bp | grep -q 'queue is empty'; }
wait_until queue_is_empty || die "The message is still in the queue."
show mailchute show "$id"
show mailchute list

step "Stopping"
kill "$daemon"
wait "$daemon" || die "The daemon did not stop cleanly."
daemon=''
say "Done: sendmail submitted a message to the spool, and the daemon delivered it to a mail server. The Bcc field was removed,
its recipient got the message, and the signature was verified. All processes are stopped, the scratch directories removed."
