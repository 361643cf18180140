//! What install.sh says when a tool or a right is missing. The tools are hidden by a PATH that has only what a scenario names.

use super::in_a_directory;
use crate::support::parts;

/// Makes `$STAGE/bin` with the basic tools and an `id` that is not root's; more are added by name.
const POOR: &str = r#"
    mkdir "$STAGE/bin"
    with() { for tool; do ln -s "$(command -v "$tool")" "$STAGE/bin/$tool"; done; }
    with sh dirname cut sort head cat grep mkdir mv sed sha256sum stat readlink
    printf '#!/bin/sh\necho 1000\n' >"$STAGE/bin/id"; chmod +x "$STAGE/bin/id"
    poor() { env -i HOME=/nonexistent PATH="$STAGE/bin" sh "$TREE/install.sh" "$@"; }
"#;

fn poor(name: &str, scenario: &str) {
    let stage = in_a_directory(name, "", &format!("{POOR}{scenario}"));
    std::fs::remove_dir_all(stage).unwrap();
}

#[test]
fn a_missing_checksum_tool_ends_it_before_anything_is_compared() {
    poor(
        "a_missing_checksum_tool_ends_it_before_anything_is_compared",
        r#"
        rm "$STAGE/bin/sha256sum"
        expect 69 poor --binaries "$PROGRAMS" --destdir "$STAGE/root"
        says "sha256sum is missing"
        "#,
    );
}

#[test]
fn a_missing_c_compiler_ends_in_69_with_the_line_to_run() {
    poor(
        "a_missing_c_compiler_ends_in_69_with_the_line_to_run",
        r#"
        printf '#!/bin/sh\n' >"$STAGE/bin/apt-get"; chmod +x "$STAGE/bin/apt-get"
        expect 69 poor demo
        says "a C compiler is missing"; says "apt-get install -y --no-install-recommends gcc libc6-dev"
        "#,
    );
}

#[test]
fn a_missing_or_old_cargo_ends_in_69_with_the_line_to_run() {
    poor(
        "a_missing_or_old_cargo_ends_in_69_with_the_line_to_run",
        r#"
        printf '#!/bin/sh\n' >"$STAGE/bin/cc"; chmod +x "$STAGE/bin/cc"
        expect 69 poor demo
        says "cargo 1.95 or newer is missing"; says "https://sh.rustup.rs"
        for old in 1.9.0 1.94.1 0.99.0; do
            printf '#!/bin/sh\necho "cargo %s (x)"\n' "$old" >"$STAGE/bin/cargo"; chmod +x "$STAGE/bin/cargo"
            expect 69 poor demo
        done
        for good in 1.95.0 1.100.0 2.0.0; do
            printf '#!/bin/sh\n[ "$1" = --version ] && echo "cargo %s (x)" && exit\nexit 33\n' "$good" >"$STAGE/bin/cargo"
            expect 33 poor demo
        done
        "#,
    );
}

#[test]
fn installing_without_root_ends_in_77_and_says_what_works() {
    poor(
        "installing_without_root_ends_in_77_and_says_what_works",
        r#"
        expect 77 poor --binaries "$PROGRAMS"
        says "./install.sh demo"; says "--destdir"
        "#,
    );
}

#[test]
fn the_injector_is_built_alone_and_all_programs_for_the_prefix() {
    poor(
        "the_injector_is_built_alone_and_all_programs_for_the_prefix",
        r#"
        with cp touch
        mkdir "$STAGE/tree"; cp -r "$TREE/install.sh" "$TREE/packaging" "$STAGE/tree/"; TREE=$STAGE/tree
        printf '#!/bin/sh\n' >"$STAGE/bin/cc"
        cat >"$STAGE/bin/cargo" <<'END'
#!/bin/sh
[ "$1" = --version ] && echo 'cargo 1.95.0 (x)' && exit
echo "$MAILCHUTE_PREFIX $*" >>calls
mkdir -p target/release target/injector
touch target/release/mailchuted target/release/mailchute target/injector/sendmail
END
        chmod +x "$STAGE/bin/cc" "$STAGE/bin/cargo"
        expect 0 poor build
        same "$(cat "$TREE/calls")" "/ build --locked --quiet --release -p mailchute --bin mailchuted --bin mailchute
/ build --locked --quiet --profile injector -p mailchute --no-default-features --features submit --bin sendmail"
        same "$(ls "$TREE/target/install" | sort | tr '\n' ' ')" "mailchute mailchuted prefix sendmail "
        same "$(cat "$TREE/target/install/prefix")" ""
        expect 0 poor build --prefix /opt/chute
        says "--prefix /opt/chute --binaries"
        same "$(tail -n 1 "$TREE/calls" | cut -d ' ' -f 1)" /opt/chute
        same "$(cat "$TREE/target/install/prefix")" /opt/chute
        echo 'exit 101' >>"$STAGE/bin/cargo"
        expect 101 poor build
        "#,
    );
}

#[test]
fn the_shell_texts_are_clean() {
    let texts = ["install.sh", "packaging/build.sh", "packaging/demo.sh"].map(|text| super::tree().join(text));
    for text in &texts {
        let out = std::process::Command::new("sh").arg("-n").arg(text).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
    let shellcheck = require!(parts::tool("shellcheck"));
    let out = std::process::Command::new(shellcheck).arg("-x").args(&texts).current_dir(super::tree()).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
}
