//! What an installation leaves on the disk.

use super::in_an_image;

#[test]
fn an_installation_is_what_the_list_says() {
    // The list is read a second time here, by other code than that of install.sh.
    in_an_image(
        "an_installation_is_what_the_list_says",
        r#"
        expect 0 install
        grep -v -e '^#' -e '^$' "$TREE/packaging/files.list" | while IFS=: read -r path type owner group mode from; do
            case $type in
                l) same "$(readlink "$path")" "$from"; [ -e "$path" ] || die "$path leads nowhere" ;;
                *) same "$path $(stat -c '%U:%G %04a' "$path")" "$path $owner:$group $mode" ;;
            esac
            case $type in
                f | c) [ -f "$path" ] || die "$path is no file" ;;
                d | k) [ -d "$path" ] || die "$path is no directory" ;;
            esac
        done || exit 1
        same "$(getent group mailchute | cut -d: -f4)" ""
        same "$(getent group mailchute-admin | cut -d: -f4)" ""
        "#,
    );
}

#[test]
fn nothing_that_is_installed_is_set_id() {
    in_an_image(
        "nothing_that_is_installed_is_set_id",
        r#"
        find /usr /etc /var/spool /run -type f -perm /6000 | sort >/tmp/before
        expect 0 install
        find /usr /etc /var/spool /run -type f -perm /6000 | sort >/tmp/after
        same "$(cat /tmp/before)" "$(cat /tmp/after)"
        "#,
    );
}

#[test]
fn a_second_installation_changes_nothing_and_keeps_configuration_and_mail() {
    in_an_image(
        "a_second_installation_changes_nothing_and_keeps_configuration_and_mail",
        r#"
        expect 0 install
        echo 'mailname = "kept.example"' >/etc/mailchute/mailchute.toml
        echo mail >/var/spool/mailchute/cur/0123456789ABCDEF
        echo key >/etc/mailchute/keys/k
        state() { find /usr/sbin /usr/bin /usr/lib/systemd /usr/share/mailchute /etc/mailchute /var/spool/mailchute -printf '%p %M %u %g %l\n' | sort; }
        state >/tmp/before
        expect 0 install
        state >/tmp/after
        same "$(diff /tmp/before /tmp/after)" ""
        same "$(cat /etc/mailchute/mailchute.toml)" 'mailname = "kept.example"'
        same "$(cat /var/spool/mailchute/cur/0123456789ABCDEF)" mail
        "#,
    );
}

#[test]
fn a_run_mends_wrong_modes_and_replaces_an_older_version() {
    in_an_image(
        "a_run_mends_wrong_modes_and_replaces_an_older_version",
        r#"
        expect 0 install
        chmod 0777 /var/spool/mailchute/new; chmod 4755 /usr/sbin/sendmail; rmdir /var/spool/mailchute/hold
        echo '# newer' >>"$PROGRAMS/sendmail"
        expect 0 install
        same "$(stat -c %a /var/spool/mailchute/new)" 3733
        same "$(stat -c '%a %U' /var/spool/mailchute/hold)" "700 mailchute"
        same "$(stat -c %a /usr/sbin/sendmail)" 755
        same "$(tail -n 1 /usr/sbin/sendmail)" '# newer'
        "#,
    );
}

#[test]
fn uninstalling_leaves_configuration_keys_and_mail_and_says_so() {
    in_an_image(
        "uninstalling_leaves_configuration_keys_and_mail_and_says_so",
        r#"
        find /usr -printf '%p %M %l\n' | sort >/tmp/before
        expect 0 install
        echo mail >/var/spool/mailchute/new/0123456789ABCDEF
        echo key >/etc/mailchute/keys/k
        expect 0 install --uninstall
        says /var/spool/mailchute; says "1 message waiting"; says /etc/mailchute
        find /usr -printf '%p %M %l\n' | sort >/tmp/after
        same "$(diff /tmp/before /tmp/after)" ""
        same "$(cat /etc/mailchute/keys/k)" key
        same "$(cat /var/spool/mailchute/new/0123456789ABCDEF)" mail
        expect 69 install --uninstall
        "#,
    );
}

#[test]
fn a_program_that_was_changed_since_is_not_removed() {
    in_an_image(
        "a_program_that_was_changed_since_is_not_removed",
        r#"
        expect 0 install
        echo other >/usr/bin/mailchute
        expect 0 install --uninstall
        says "left /usr/bin/mailchute"
        same "$(cat /usr/bin/mailchute)" other
        "#,
    );
}
