//! An installation as the README makes it, at work: users without rights send, the daemon runs as its own user, root looks on.
//!
//! The programs of this build have the scratch prefix compiled in, so they are installed with --prefix; all else is as on a host.

use config::paths::PREFIX;

use super::in_an_image_with;

#[test]
fn mail_of_a_user_without_rights_goes_out_signed_from_an_installed_system() {
    let receiver = require!(super::demo::programs()).join("examples/receiver");
    let scenario = r#"
        ip link set lo up
        owner=$PREFIX; while [ "$owner" != / ]; do [ -e "$owner" ] && chown 0:0 "$owner" && chmod go-w "$owner"; owner=$(dirname "$owner"); done
        as() { user=$1; shift; setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs "$@"; }
        wait_until() { n=0; until "$@" >/dev/null 2>&1; do n=$((n + 1)); [ $n -lt 6000 ] || die "waited too long: $*"; sleep 0.1; done; }
        expect 0 install --prefix "$PREFIX"
        expect 0 "$PREFIX/usr/bin/mailchute" dkim keygen demo.example 2026
        same "$(stat -c '%U %a' "$PREFIX/etc/mailchute/keys/demo.example/2026.pem")" "mailchute 600"
        printf '[domain."demo.example"]\nselectors = ["2026"]\n' >"$PREFIX/etc/mailchute/mailchute.toml"
        record=$("$PREFIX/usr/bin/mailchute" dkim dns demo.example | grep -o 'v=DKIM1;[^"]*' | head -n 1)
        "$RECEIVER" --key "2026._domainkey.demo.example=$record" --wait 600 >/tmp/receiver 2>&1 & receiver=$!
        wait_until grep '^listening' /tmp/receiver
        port=$(sed -n 's/^listening on .*://p' /tmp/receiver)
        sed -i "1i mailname = \"demo.example\"\nnext_hop = \"smtp://127.0.0.1:$port?tls=none\"" "$PREFIX/etc/mailchute/mailchute.toml"
        (exec setpriv --reuid mailchute --regid mailchute --clear-groups --no-new-privs "$PREFIX/usr/sbin/mailchuted") >/tmp/daemon 2>&1 & daemon=$!
        wait_until test -S "$PREFIX/run/mailchute/control.sock"
        printf 'From: alice@demo.example\nTo: bob@example.net\nSubject: hello\n\nHi.\n' >/tmp/message
        said=$(as 4301 "$PREFIX/usr/lib/sendmail" -t -i -v <"/tmp/message" 2>&1) || die "sendmail"
        says "queued as"
        id=${said##* }
        wait $receiver || die "$(cat /tmp/receiver /tmp/daemon)"
        said=$(cat /tmp/receiver); says "DKIM: pass"; says "from userid 4301"
        wait_until sh -c "'$PREFIX/usr/bin/mailq' | grep 'Mail queue is empty'"
        expect 0 "$PREFIX/usr/bin/mailchute" show "$id"
        says bob@example.net
        expect 0 "$PREFIX/usr/bin/mailchute" status
        expect 0 as 4301 "$PREFIX/usr/bin/mailchute" show "$id"
        said=$(as 4302 "$PREFIX/usr/bin/mailchute" show "$id" 2>&1) && die "another user saw it: $said"
        kill $daemon; wait $daemon || die "the daemon ended badly: $(cat /tmp/daemon)"
        expect 69 as 4301 "$PREFIX/usr/bin/mailq"
        expect 0 install --prefix "$PREFIX" --uninstall
        [ -f "$PREFIX/etc/mailchute/keys/demo.example/2026.pem" ] || die "the key was removed"
    "#;
    let header = format!("PREFIX='{PREFIX}' RECEIVER='{}'\n", receiver.display());
    in_an_image_with(
        &super::programs(PREFIX),
        "mail_of_a_user_without_rights_goes_out_signed_from_an_installed_system",
        &format!("{header}{scenario}"),
    );
}
