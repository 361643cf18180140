#!/bin/sh
# The demonstration: one message goes from `sendmail -t` to a mail server, signed. `./install.sh demo` builds and calls this.
#
# In:   the directory of the built programs. Out: what happened, step by step.
# Runs: as any user, on scratch directories and a loopback port; everything is stopped and removed again, however it ends.
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
# Shows a command as one would type it, then runs it.
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
        say "" "The demonstration failed. What the daemon and the receiver said:"
        cat "$scratch/daemon.log" "$scratch/receiver.log" 2>/dev/null || true
    fi
    rm -rf "$scratch"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' HUP TERM

# Waits until `$@` succeeds, five minutes at most: longer than the slowest machine needs.
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
[ -n "$record" ] || die "mailchute dkim dns gave no record."

step "A mail server on loopback, which knows that key as DNS would"
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

step "A message, as any program sends it"
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

step "What arrived"
code=0
wait "$receiver" || code=$?
receiver=''
sed -n '2,$p' "$scratch/receiver.log"
[ "$code" = 0 ] || die "No message with a valid signature arrived."

step "What the history says"
queue_is_empty() { "$programs/sendmail" -bp | grep -q 'queue is empty'; }
wait_until queue_is_empty || die "The message is still in the queue."
show mailchute show "$id"
show mailchute list

step "Stopping"
kill "$daemon"
wait "$daemon" || die "The daemon did not end well."
daemon=''
say "Shown: a message went from sendmail through the spool to a mail server; the Bcc field was removed, its recipient served,
and the signature verified. Everything is stopped; the scratch directories are removed."
