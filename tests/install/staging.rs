//! --destdir and --prefix.

use super::in_a_directory;

#[test]
fn a_stage_for_a_package_needs_no_root() {
    let stage = in_a_directory(
        "a_stage_for_a_package_needs_no_root",
        "",
        r#"
        expect 0 install --destdir "$STAGE/"
        grep -v -e '^#' -e '^$' "$TREE/packaging/files.list" | while IFS=: read -r path type owner group mode from; do
            case $type in
                l) same "$(readlink "$STAGE$path")" "$from" ;;
                *) same "$path $(stat -c %04a "$STAGE$path")" "$path $mode" ;;
            esac
        done || exit 1
        expect 0 install --destdir "$STAGE"
        expect 0 install --destdir "$STAGE" --uninstall
        [ ! -e "$STAGE/usr/sbin/sendmail" ] || die "not removed"
        [ -f "$STAGE/etc/mailchute/mailchute.toml" ] || die "the configuration was removed"
        "#,
    );
    std::fs::remove_dir_all(stage).unwrap();
}

#[test]
fn the_systemd_files_of_a_prefix_name_its_paths() {
    let stage = in_a_directory(
        "the_systemd_files_of_a_prefix_name_its_paths",
        "/opt/chute",
        r#"
        expect 0 install --destdir "$STAGE" --prefix /opt/chute
        cd "$STAGE/opt/chute/usr/lib" || die "no prefix"
        unit=$(cat systemd/system/mailchuted.service)
        said=$unit
        says "ExecStart=/opt/chute/usr/sbin/mailchuted"
        says "ReadWritePaths=/opt/chute/var/spool/mailchute /opt/chute/run/mailchute"
        case $unit in *RuntimeDirectory*) die "systemd would make /run/mailchute" ;; esac
        said=$(cat tmpfiles.d/mailchute.conf)
        says "d /opt/chute/var/spool/mailchute/new 3733"
        says "d /opt/chute/run/mailchute 0755"
        "#,
    );
    std::fs::remove_dir_all(stage).unwrap();
}

#[test]
fn programs_that_were_built_for_another_prefix_are_not_installed() {
    let stage = in_a_directory(
        "programs_that_were_built_for_another_prefix_are_not_installed",
        "/somewhere/target/scratch",
        r#"
        expect 64 install --destdir "$STAGE"
        says "was built for the prefix /somewhere/target/scratch"
        same "$(ls "$STAGE")" ""
        "#,
    );
    std::fs::remove_dir_all(stage).unwrap();
}

#[test]
fn a_directory_that_a_unit_file_could_not_hold_is_refused() {
    let stage = in_a_directory(
        "a_directory_that_a_unit_file_could_not_hold_is_refused",
        "",
        r#"
        for bad in relative '/a b' '/a;b' '/a$b' '/a/../b' '/a
b'; do
            expect 64 install --prefix "$bad"
            expect 64 install --destdir "$bad"
        done
        expect 64 install --prefix
        expect 64 install --unknown
        expect 0 install --help
        "#,
    );
    std::fs::remove_dir_all(stage).unwrap();
}
