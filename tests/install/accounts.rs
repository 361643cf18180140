//! User and groups, with the tools that a host happens to have.

use super::in_an_image;

#[test]
fn user_and_groups_are_made_without_systemd_and_without_setpriv() {
    in_an_image(
        "user_and_groups_are_made_without_systemd_and_without_setpriv",
        r#"
        for name in systemd-sysusers systemd-tmpfiles setpriv systemctl; do rm -f "/usr/bin/$name" "/bin/$name"; done
        userdel mailchute 2>/dev/null; groupdel mailchute-admin 2>/dev/null
        expect 0 install
        same "$(id -gn mailchute)" mailchute
        same "$(id -Gn mailchute)" mailchute
        case $(getent passwd mailchute) in *nologin) ;; *) die "a shell" ;; esac
        getent group mailchute-admin >/dev/null || die "no mailchute-admin"
        same "$(stat -c '%a %U %G' /var/spool/mailchute/new)" "3733 mailchute mailchute"
        "#,
    );
}

#[test]
fn a_user_in_no_group_can_drop_a_file_and_not_look_around() {
    in_an_image(
        "a_user_in_no_group_can_drop_a_file_and_not_look_around",
        r#"
        command -v setpriv >/dev/null || { echo "SKIPPED: no setpriv"; exit 0; }
        expect 0 install
        as() { uid=$1; shift; setpriv --reuid "$uid" --regid "$uid" --clear-groups --no-new-privs "$@"; }
        expect 0 as 4242 sh -c 'umask 027; echo mail >/var/spool/mailchute/new/X'
        same "$(stat -c '%u %G' /var/spool/mailchute/new/X)" "4242 mailchute"
        expect 2 as 4242 ls /var/spool/mailchute/new
        expect 1 as 4243 rm -f /var/spool/mailchute/new/X
        expect 1 as 4243 cat /var/spool/mailchute/new/X
        expect 1 as 4243 mv /var/spool/mailchute/new/X /var/spool/mailchute/new/Y
        expect 0 as mailchute mv /var/spool/mailchute/new/X /var/spool/mailchute/cur/X
        "#,
    );
}
