//! What somebody may have put in the way of root.

use super::in_an_image;

#[test]
fn t_inst_1_a_symbolic_link_in_the_place_of_a_target_is_replaced_and_never_followed() {
    in_an_image(
        "t_inst_1_a_symbolic_link_in_the_place_of_a_target_is_replaced_and_never_followed",
        r#"
        cp -p /etc/passwd /tmp/passwd; accounts() { grep -v '^mailchute:' /etc/passwd; }; accounts >/tmp/passwd
        ln -s /etc/passwd /usr/sbin/sendmail
        ln -s /etc/shadow /usr/sbin/mailchuted.mailchute-new
        shadow=$(stat -c '%a %U' /etc/shadow)
        expect 73 install
        expect 0 install --replace-mta
        same "$(accounts)" "$(cat /tmp/passwd)"
        same "$(stat -c '%a %U' /etc/shadow)" "$shadow"
        [ ! -L /usr/sbin/sendmail ] || die "still a link"
        [ ! -L /usr/sbin/mailchuted ] || die "a link was renamed into place"
        "#,
    );
}

#[test]
fn a_directory_in_the_place_of_a_program_ends_the_installation() {
    in_an_image(
        "a_directory_in_the_place_of_a_program_ends_the_installation",
        r#"
        mkdir /usr/sbin/sendmail
        expect 73 install --replace-mta
        says "/usr/sbin/sendmail is a directory"
        "#,
    );
}

#[test]
fn pf26_7_root_writes_nothing_below_a_directory_of_another_user() {
    in_an_image(
        "pf26_7_root_writes_nothing_below_a_directory_of_another_user",
        r#"
        mkdir -p /usr/share/doc/mailchute; chown 4242 /usr/share/doc/mailchute
        expect 73 install
        says "/usr/share/doc/mailchute belongs to uid 4242"
        [ ! -e /usr/sbin/sendmail ] || die "something was installed"
        chown 0 /usr/share/doc/mailchute; chmod 0777 /usr/share/doc/mailchute
        expect 73 install
        says "is world-writable"
        "#,
    );
}

#[test]
fn pf26_7_in_a_spool_that_exists_only_its_owner_makes_what_is_missing() {
    in_an_image(
        "pf26_7_in_a_spool_that_exists_only_its_owner_makes_what_is_missing",
        r#"
        expect 0 install
        # What a daemon that was broken into could leave: root would change the mode and the owner of /etc.
        rmdir /var/spool/mailchute/cur; ln -s /etc /var/spool/mailchute/cur
        etc=$(stat -c '%a %U %G' /etc)
        expect 73 install
        says "/var/spool/mailchute/cur is not a directory"
        same "$(stat -c '%a %U %G' /etc)" "$etc"
        rm /var/spool/mailchute/cur
        expect 0 install
        same "$(stat -c '%a %U %G' /var/spool/mailchute/cur)" "700 mailchute mailchute"
        "#,
    );
}
