//! Another mail system is there already.

use super::in_an_image;

/// A mail system without a package: a program, a link to it, a link into a directory of alternatives.
const OTHER: &str = r#"
    echo other >/usr/sbin/sendmail
    ln -s ../sbin/sendmail /usr/lib/sendmail
    mkdir -p /etc/alternatives; echo listing >/opt/mailq; ln -sf /opt/mailq /etc/alternatives/mta-mailq
    ln -s /etc/alternatives/mta-mailq /usr/bin/mailq
"#;

#[test]
fn a_foreign_mail_system_is_never_overwritten_without_being_told() {
    in_an_image(
        "a_foreign_mail_system_is_never_overwritten_without_being_told",
        &format!(
            r#"{OTHER}
        find /usr /etc /var/spool /run -printf '%p %M %u %l %T@\n' | sort >/tmp/before
        expect 73 install
        says /usr/sbin/sendmail; says /usr/lib/sendmail; says /usr/bin/mailq
        says "./install.sh --binaries $PROGRAMS --replace-mta"
        find /usr /etc /var/spool /run -printf '%p %M %u %l %T@\n' | sort >/tmp/after
        same "$(diff /tmp/before /tmp/after)" ""
        "#
        ),
    );
}

#[test]
fn a_foreign_mail_system_is_moved_aside_when_told_and_put_back() {
    in_an_image(
        "a_foreign_mail_system_is_moved_aside_when_told_and_put_back",
        &format!(
            r#"{OTHER}
        expect 0 install --replace-mta
        same "$(cat /usr/sbin/sendmail.before-mailchute)" other
        same "$(readlink /usr/bin/mailq.before-mailchute)" /etc/alternatives/mta-mailq
        same "$(readlink /usr/bin/mailq)" mailchute
        same "$(cat /opt/mailq)" listing
        expect 0 install
        same "$(cat /usr/sbin/sendmail.before-mailchute)" other
        expect 0 install --uninstall
        same "$(cat /usr/sbin/sendmail)" other
        same "$(readlink /usr/lib/sendmail)" ../sbin/sendmail
        same "$(readlink /usr/bin/mailq)" /etc/alternatives/mta-mailq
        same "$(find /usr -name '*.before-mailchute')" ""
        "#
        ),
    );
}

#[test]
fn an_upgrade_of_the_foreign_package_does_not_come_back_over_ours() {
    in_an_image(
        "an_upgrade_of_the_foreign_package_does_not_come_back_over_ours",
        r#"
        command -v dpkg-deb >/dev/null || { echo "SKIPPED: no dpkg"; exit 0; }
        package() {
            mkdir -p /tmp/p/DEBIAN /tmp/p/usr/sbin
            printf 'Package: other-mta\nVersion: %s\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n' "$1" >/tmp/p/DEBIAN/control
            echo "other $1" >/tmp/p/usr/sbin/sendmail
            dpkg-deb --build /tmp/p /tmp/other.deb >/dev/null && dpkg --install /tmp/other.deb >/dev/null 2>&1 || die "dpkg failed"
        }
        package 1
        expect 73 install
        says "the package other-mta"
        expect 0 install --replace-mta
        package 2
        same "$(head -n 1 /usr/sbin/sendmail)" '#!/bin/bash'
        same "$(cat /usr/sbin/sendmail.before-mailchute)" 'other 2'
        expect 0 install --uninstall
        same "$(cat /usr/sbin/sendmail)" 'other 2'
        same "$(dpkg-divert --list '*before-mailchute')" ""
        "#,
    );
}
