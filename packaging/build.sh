#!/bin/sh
# Builds the three programs for install.sh, and checks for the tools. Sourced by install.sh, which sets `here` (this tree), `prefix`
# and `fail`. Sets `binaries`, the directory of the built programs. Exits with 69 if a tool is missing.
# shellcheck shell=sh disable=SC2154  # `here` and `prefix` come from install.sh

rust_minimum=1.95

PATH=$PATH:${CARGO_HOME:-${HOME:-/root}/.cargo}/bin

has_compiler() { command -v cc >/dev/null 2>&1; }
has_cargo() {
    version=$(cargo --version 2>/dev/null | cut -d ' ' -f 2) && [ -n "$version" ] || return 1
    [ "$(printf '%s\n%s\n' "$rust_minimum" "$version" | sort -t . -k 1,1n -k 2,2n | head -n 1)" = "$rust_minimum" ]
}

# The package installation command of this distribution; nothing if unknown.
package_command() {
    if command -v apt-get >/dev/null 2>&1; then
        echo "apt-get install -y --no-install-recommends"
    elif command -v dnf >/dev/null 2>&1; then
        echo "dnf install -y"
    elif command -v apk >/dev/null 2>&1; then
        echo "apk add"
    fi
}
compiler_packages() { if command -v apk >/dev/null 2>&1; then echo "gcc musl-dev"; elif command -v dnf >/dev/null 2>&1; then echo gcc; else echo "gcc libc6-dev"; fi; }

# Checks for $1 (has_…), named $2. As root, installs the packages $3; otherwise prints the command to run: $4, or the packages.
require_tool() {
    if "$1"; then return 0; fi
    install=$(package_command)
    if [ "$(id -u)" = 0 ] && [ -n "$install" ]; then
        say "Installing $2: $install $3"
        case $install in apt-get*) apt-get update -q >/dev/null 2>&1 || true ;; esac
        # shellcheck disable=SC2086  # both are lists of words
        $install $3 >/dev/null || true
        if "$1"; then return 0; fi
    fi
    line=${4:-${install:-your package manager:} $3}
    fail 69 "$2 is missing. Run this, then start again:
    $line"
}

require_toolchain() {
    require_tool has_compiler "a C compiler" "$(compiler_packages)"
    require_tool has_cargo "cargo $rust_minimum or newer" cargo \
        "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal"
}

# cargo shows its progress only on a terminal.
quiet=--quiet
if [ -t 2 ]; then quiet=''; fi

# Two calls, because one call unites the features of all its programs, and sendmail should be small.
build() {
    require_toolchain
    export CARGO_TARGET_DIR="$here/target" MAILCHUTE_PREFIX="${prefix:-/}"
    say "Building for the prefix $MAILCHUTE_PREFIX (some minutes the first time) ..."
    # shellcheck disable=SC2086  # an empty $quiet is no word
    (cd "$here" && cargo build --locked $quiet --release -p mailchute --bin mailchuted --bin mailchute)
    # shellcheck disable=SC2086
    (cd "$here" && cargo build --locked $quiet --profile injector -p mailchute --no-default-features --features submit --bin sendmail)
    binaries=$here/target/install
    mkdir -p "$binaries"
    cp "$here/target/release/mailchuted" "$here/target/release/mailchute" "$here/target/injector/sendmail" "$binaries/"
    printf '%s\n' "$prefix" >"$binaries/prefix"
}
