//! The files for systemd, read by systemd's own tools. Without them there is nothing to look at.

use super::in_an_image;

#[test]
fn systemd_understands_every_line_of_the_unit() {
    in_an_image(
        "systemd_understands_every_line_of_the_unit",
        r#"
        command -v systemd-analyze >/dev/null || exit 0
        expect 0 install
        expect 0 systemd-analyze verify --man=no mailchuted.service
        same "$said" ""
        # And it would say so if it did not.
        sed -i 's/^LockPersonality/LockPersonalty/' /usr/lib/systemd/system/mailchuted.service
        said=$(systemd-analyze verify --man=no mailchuted.service 2>&1)
        says LockPersonalty
        "#,
    );
}

#[test]
fn at_boot_the_directories_come_back_as_they_were_installed() {
    in_an_image(
        "at_boot_the_directories_come_back_as_they_were_installed",
        r#"
        command -v systemd-tmpfiles >/dev/null || exit 0
        expect 0 install
        state() { find /run/mailchute /var/spool/mailchute -printf '%p %M %u %g\n' | sort; }
        state >/tmp/before
        rm -rf /run/mailchute /var/spool/mailchute/hold; chmod 0755 /var/spool/mailchute/new
        expect 0 systemd-tmpfiles --create mailchute.conf
        state >/tmp/after
        same "$(diff /tmp/before /tmp/after)" ""
        "#,
    );
}
