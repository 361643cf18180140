#!/bin/sh
# Builds and installs mailchute, or runs a demonstration. See `./install.sh --help`.
#
# In:   this tree; packaging/files.list, the list of all installed files.
# Out:  the programs, links, man pages, unit, user, groups and spool of that list. Nothing is ever set-id.
# Runs: as root, except for `demo`, `build` and --destdir. A second run restores missing files and replaces older ones.
# Ends: 0; 64 usage; 69 a tool is missing; 73 another file is in the way; 77 root is needed; or the exit code of a failed command.
#
# Two rules keep root safe. Links are not followed: a new file is written beside the target under a fresh name and renamed over it, so
# that a symbolic link is replaced. And root never writes below a directory of another user: missing directories of an existing spool
# are created by its owner.
set -eu
umask 022

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
list=$here/packaging/files.list

say() { printf '%s\n' "$*"; }
fail() {
    code=$1
    shift
    printf 'install.sh: %s\n' "$*" >&2
    exit "$code"
}

usage() {
    cat <<'END'
usage: ./install.sh demo          run a demonstration, as any user, in scratch directories; leaves nothing behind
       ./install.sh build         build only, below target/install (then, as root: ./install.sh --binaries target/install)
       ./install.sh [options]     build and install (root)
       ./install.sh --uninstall   remove the installed files; spool, configuration, user and groups stay

options:
  --prefix DIR     install everything below DIR. The paths are compiled in: give it to build, too
  --destdir DIR    stage the files below DIR, for a package; creates no users, sets no owners, works without root
  --binaries DIR   take the programs from DIR instead of building them
  --replace-mta    rename the files of another mail system to NAME.before-mailchute; --uninstall restores them
END
}

# The external commands. A missing one must stop the script here: an empty checksum would match any other.
for tool in cat cut dirname grep id mkdir mv sed sha256sum stat readlink; do
    command -v "$tool" >/dev/null 2>&1 || fail 69 "$tool is missing"
done

# --- arguments -----------------------------------------------------------------------------------------------------------------

verb=install prefix='' destdir='' binaries='' replace=no asked="$*"
parse_arguments() {
    while [ $# -gt 0 ]; do
        case $1 in
            demo | build) verb=$1 ;;
            --uninstall) verb=uninstall ;;
            --replace-mta) replace=yes ;;
            --prefix | --destdir | --binaries)
                [ $# -gt 1 ] || fail 64 "$1 needs a directory"
                take_directory "$1" "$2"
                shift
                ;;
            --help | -h)
                usage
                exit 0
                ;;
            *)
                usage >&2
                fail 64 "unknown argument $1"
                ;;
        esac
        shift
    done
}

# --prefix and --destdir: safe characters only, because the prefix is compiled in and used in a systemd unit.
take_directory() {
    if [ "$1" = --binaries ]; then
        binaries=$(CDPATH='' cd -- "$2" && pwd) || fail 64 "$1 $2: no such directory"
        return 0
    fi
    case $2 in
        *[!A-Za-z0-9/._+-]* | */../* | */..) fail 64 "$1 $2: only letters, digits and / . _ + - are allowed" ;;
        /*) ;;
        *) fail 64 "$1 $2: the path must be absolute" ;;
    esac
    clean=$(printf '%s' "$2" | sed 's|//*|/|g; s|/$||')
    if [ "$1" = --prefix ]; then prefix=$clean; else destdir=$clean; fi
}

# --- building -----------------------------------------------------------------------------------------------------------------

# shellcheck source=packaging/build.sh
. "$here/packaging/build.sh"

# The paths are compiled in: programs built for the tests must never be installed.
check_binaries() {
    [ -f "$binaries/prefix" ] || fail 64 "$binaries contains no build: run ./install.sh build"
    built_for=$(cat "$binaries/prefix")
    [ "$built_for" = "$prefix" ] || fail 64 "$binaries was built for the prefix ${built_for:-/}, not ${prefix:-/}: build again"
}

# --- the list -----------------------------------------------------------------------------------------------------------------

# Calls `$1 path type owner group mode from` for each row whose type is one of $2. Ends at the first failure.
for_each() {
    rows=$(grep -v -e '^#' -e '^$' "$list")
    while IFS=: read -r path type owner group mode from; do
        case $2 in *"$type"*) "$1" "$path" "$type" "$owner" "$group" "$mode" "$from" </dev/null ;; esac
    done <<END
$rows
END
}

# The target of a path in the list, and the source of its file.
at() { printf '%s' "$destdir$prefix$1"; }
source_of() {
    case $1 in
        bin/*) printf '%s' "$binaries/${1#bin/}" ;;
        *) printf '%s' "$here/$1" ;;
    esac
}

# Files that name system paths are written with the prefix. Below a prefix systemd creates no directory in /run.
with_prefix() {
    case $1 in
        packaging/systemd/* | packaging/tmpfiles.d/* | packaging/sysusers.d/*)
            sed -e '/^RuntimeDirectory/d' -e "s#\([ :=]\)/\(usr/sbin/mailchuted\|var/spool\|run/mailchute\|etc/mailchute\)#\1$prefix/\2#g" "$here/$1"
            ;;
        *) cat "$(source_of "$1")" ;;
    esac
}
content() { if [ -n "$prefix" ]; then with_prefix "$1"; else cat "$(source_of "$1")"; fi; }

# --- file owners ---------------------------------------------------------------------------------------------------------------

record=/usr/share/mailchute/installed

# One line that identifies the current file at path $1: a link by its target, a file by its checksum.
mark() {
    if [ -L "$(at "$1")" ]; then
        printf '%s -> %s\n' "$1" "$(readlink "$(at "$1")")"
    else
        printf '%s %s\n' "$1" "$(sha256sum <"$(at "$1")")"
    fi
}
exists() { [ -e "$(at "$1")" ] || [ -L "$(at "$1")" ]; }
is_ours() { [ -f "$(at "$record")" ] && mark "$1" | grep -qxFf - "$(at "$record")"; }

# The same for the file that the list specifies at path $1.
future_mark() {
    case $2 in
        l) printf '%s -> %s\n' "$1" "$3" ;;
        *) printf '%s %s\n' "$1" "$(content "$3" | sha256sum)" ;;
    esac
}

# The owning package, for people.
owner_of() {
    if command -v dpkg-query >/dev/null 2>&1 && name=$(dpkg-query -S "$1" 2>/dev/null); then
        printf 'the package %s' "${name%%:*}"
    elif command -v rpm >/dev/null 2>&1 && name=$(rpm -qf --qf '%{NAME}' "$1" 2>/dev/null); then
        printf 'the package %s' "$name"
    elif command -v apk >/dev/null 2>&1 && name=$(apk info -W "$1" 2>/dev/null); then
        printf 'the package %s' "${name##* owned by }"
    else
        printf 'no package and was not installed from here'
    fi
}

# Foreign files: for people, and their paths separated by spaces.
foreign='' foreign_paths=' '
look_at() {
    check_parents "$1"
    if [ "$2" != l ] && [ ! -f "$(source_of "$6")" ]; then fail 69 "$(source_of "$6") is missing: this tree is incomplete"; fi
    exists "$1" || return 0
    target=$(at "$1")
    if [ -d "$target" ]; then fail 73 "$target is a directory instead of a file: move it away"; fi
    if [ "$2" = c ] || is_ours "$1"; then return 0; fi
    foreign_paths="$foreign_paths$1 "
    foreign="$foreign
    $target belongs to $(owner_of "$target")"
}

# Every parent directory must belong to root (or to the caller, when staging) and must not be world-writable.
check_parents() {
    walked=$destdir
    rest=${prefix#/}${1%/*}
    rest=${rest#/}
    while [ -n "$rest" ]; do
        walked=$walked/${rest%%/*}
        case $rest in */*) rest=${rest#*/} ;; *) rest='' ;; esac
        [ -e "$walked" ] || [ -L "$walked" ] || continue
        check_directory "$walked"
    done
}
check_directory() {
    [ -d "$1" ] || fail 73 "$1 is not a directory"
    set -- "$1" "$(stat -L -c '%u %a' -- "$1")"
    case ${2% *} in
        0 | "$(id -u)") ;;
        *) fail 73 "$1 belongs to uid ${2% *}: refusing to install below a directory that another user can change" ;;
    esac
    case ${2#* } in
        *[2367]) case ${2#* } in [1357]???) ;; *) fail 73 "$1 is world-writable: fix that first (chmod o-w $1)" ;; esac ;;
    esac
}

check_foreign() {
    for_each look_at flc
    [ -z "$foreign" ] && return 0
    [ "$replace" = yes ] && return 0
    fail 73 "nothing was installed: files of another mail system are in the way:$foreign
To replace that mail system with mailchute, stop it and run
    ./install.sh${asked:+ $asked} --replace-mta
This renames the files to NAME.before-mailchute; ./install.sh --uninstall restores them."
}

# --- installing ---------------------------------------------------------------------------------------------------------------

make_accounts() {
    [ -z "$destdir" ] || return 0
    if command -v systemd-sysusers >/dev/null 2>&1; then
        systemd-sysusers "$here/packaging/sysusers.d/mailchute.conf" >/dev/null 2>&1 || true
    fi
    make_group mailchute
    make_group mailchute-admin
    make_user
}
# The users and groups of sysusers.d, without systemd: with the tools of shadow, else of busybox.
make_group() {
    has_group "$1" || groupadd --system "$1" 2>/dev/null || addgroup -S "$1" 2>/dev/null ||
        fail 69 "cannot make the group $1: neither groupadd nor addgroup does it here"
}
make_user() {
    id mailchute >/dev/null 2>&1 ||
        useradd --system --gid mailchute --home-dir /var/spool/mailchute --no-create-home --shell /usr/sbin/nologin --comment 'Mail delivery' mailchute 2>/dev/null ||
        adduser -S -D -H -h /var/spool/mailchute -s /sbin/nologin -G mailchute -g 'Mail delivery' mailchute 2>/dev/null ||
        fail 69 "cannot make the user mailchute: neither useradd nor adduser does it here"
}
has_group() { grep -q "^$1:" /etc/group || getent group "$1" >/dev/null 2>&1; }

# chown, except when staging for a package.
own() { [ -n "$destdir" ] || chown -h "$1:$2" "$3"; }

# Creates a directory; an existing one keeps its content. Root creates the spool in a directory of root, then changes its owner; the
# owner creates the directories below.
make_directory() {
    target=$(at "$1")
    if [ -L "$target" ] || { [ -e "$target" ] && [ ! -d "$target" ]; }; then fail 73 "$target is not a directory: move it away"; fi
    if [ -z "$destdir" ] && [ "$(stat -c %U -- "${target%/*}" 2>/dev/null)" = mailchute ]; then
        # shellcheck disable=SC2016  # the inner shell expands them
        as_mailchute 'umask 077; [ -d "$1" ] || mkdir "$1"; chmod "$2" "$1"' "$target" "$5"
    else
        check_parents "$1"
        mkdir -p "${target%/*}"
        [ -d "$target" ] || (umask 077 && mkdir "$target")
        own "$3" "$4" "$target"
        chmod "$5" "$target"
    fi
}

# Runs the shell text $1 with the arguments that follow as the user mailchute.
as_mailchute() {
    text=$1
    shift
    if command -v setpriv >/dev/null 2>&1 && setpriv --reuid mailchute --regid mailchute --clear-groups true 2>/dev/null; then
        setpriv --reuid mailchute --regid mailchute --clear-groups sh -c "$text" sh "$@"
    else
        su -s /bin/sh mailchute -c "$text" sh "$@"
    fi
}

# Writes the file or link of one row beside its target and renames it: an existing link is replaced, never followed.
put() {
    check_parents "$1"
    target=$(at "$1")
    if [ "$2" = c ] && exists "$1"; then return 0; fi
    mkdir -p "$(dirname "$target")"
    fresh=$target.mailchute-new
    rm -f "$fresh"
    if [ "$2" = l ]; then
        ln -s "$6" "$fresh"
    else
        (set -C && umask 077 && content "$6" >"$fresh")
        chmod "$5" "$fresh"
    fi
    own "$3" "$4" "$fresh"
    set_aside "$1"
    mv -f "$fresh" "$target"
}

# Renames a foreign file. On Debian by diversion, so that an upgrade of its package uses the new name too.
set_aside() {
    case $foreign_paths in *" $1 "*) ;; *) return 0 ;; esac
    if diverts "$1"; then
        dpkg-divert --quiet --local --rename --divert "$1.before-mailchute" --add "$1"
    else
        mv -f "$(at "$1")" "$(at "$1").before-mailchute"
    fi
    say "renamed $(at "$1") to $(at "$1").before-mailchute"
}
diverts() { [ -z "$destdir$prefix" ] && command -v dpkg-divert >/dev/null 2>&1 && dpkg-query -S "$1" >/dev/null 2>&1; }

# The record lists our files. While files are replaced it contains the old marks and the new ones, so that after an interrupted run
# the next run still recognises all of them.
write_record() {
    marks=$(for_each print_mark fl)
    target=$(at "$record")
    rm -f "$target.new"
    (set -C && { [ "$1" = final ] || cat "$target" 2>/dev/null || true; } >"$target.new")
    printf '%s\n' "$marks" >>"$target.new"
    chmod 0644 "$target.new"
    mv -f "$target.new" "$target"
}
print_mark() { future_mark "$1" "$2" "$6"; }

install_all() {
    if [ "$(id -u)" != 0 ] && [ -z "$destdir" ]; then
        fail 77 "installing needs root. Without root: ./install.sh demo, ./install.sh build, or --destdir DIR"
    fi
    if [ -z "$binaries" ]; then build; fi
    check_binaries
    check_foreign
    make_accounts
    for_each make_directory dk
    write_record interim
    for_each put flc
    write_record final
    say "Installed below ${destdir:-}${prefix:-/}."
    [ -n "$destdir" ] || say_next
}

say_next() {
    config=$(at /etc/mailchute/mailchute.toml)
    if [ ! -d /run/systemd/system ]; then
        say "Configuration: $config. Start the daemon as the user mailchute: $(at /usr/sbin/mailchuted)"
        return 0
    fi
    if [ -n "$prefix" ]; then
        say "Next: systemctl link $(at /usr/lib/systemd/system/mailchuted.service)"
    else
        systemctl daemon-reload
        if systemctl is-active --quiet mailchuted; then
            systemctl restart mailchuted
            say "mailchuted was restarted with the new version."
            return 0
        fi
    fi
    say "Next: set next_hop in $config, then: systemctl enable --now mailchuted; mailchute check"
}

# --- uninstalling -------------------------------------------------------------------------------------------------------------

uninstall_all() {
    [ -f "$(at "$record")" ] || fail 69 "$(at "$record") is missing: there is no installation from this tree"
    if [ "$(id -u)" != 0 ] && [ -z "$destdir" ]; then fail 77 "uninstalling needs root"; fi
    if [ -z "$destdir" ] && [ -d /run/systemd/system ]; then systemctl disable --now mailchuted >/dev/null 2>&1 || true; fi
    for_each take_away fl
    rm -f "$(at "$record")"
    # The list names a directory before its content.
    grep -e '^[^#:]*:d:' "$list" | cut -d: -f1 | sort -r | while read -r path; do remove_directory "$path"; done
    if [ -z "$destdir" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
    say "Removed. These stay: $(at /etc/mailchute), $(at /var/spool/mailchute)$(waiting), the user mailchute and the groups
mailchute and mailchute-admin. They contain the keys and the mail of this host; remove them by hand if you no longer need them."
}

# Removes our files and restores the previous ones. Files that were changed since the installation stay.
take_away() {
    check_parents "$1"
    if exists "$1"; then
        if is_ours "$1"; then
            rm -f "$(at "$1")"
        else
            say "left $(at "$1"): it was changed after the installation"
            return 0
        fi
    fi
    if [ -z "$destdir$prefix" ] && command -v dpkg-divert >/dev/null 2>&1 && [ "$(dpkg-divert --truename "$1")" = "$1.before-mailchute" ]; then
        dpkg-divert --quiet --local --rename --remove "$1"
    elif exists "$1.before-mailchute"; then
        mv "$(at "$1").before-mailchute" "$(at "$1")"
    else
        return 0
    fi
    say "restored $(at "$1")"
}
remove_directory() { rmdir "$(at "$1")" 2>/dev/null || true; }
waiting() {
    count=$(find "$(at /var/spool/mailchute)/new" "$(at /var/spool/mailchute)/cur" -type f 2>/dev/null | wc -l)
    case $count in
        0) ;;
        1) printf ' (1 message waiting)' ;;
        *) printf ' (%s messages waiting)' "$count" ;;
    esac
}

# --- the demonstration --------------------------------------------------------------------------------------------------------

# Uses the scratch prefix of the tests, so that it cannot touch an installed mail system.
demo() {
    require_toolchain
    configured=$here/target/scratch/etc/mailchute
    [ ! -e "$configured" ] || fail 73 "$configured makes the scratch prefix a system installation: remove it"
    export CARGO_TARGET_DIR="$here/target"
    unset MAILCHUTE_PREFIX
    say "Building (some minutes the first time) ..."
    # shellcheck disable=SC2086,SC2154  # set by build.sh; empty, it is no word
    (cd "$here" && cargo build --locked $quiet --bins --example receiver)
    exec sh "$here/packaging/demo.sh" "$here/target/debug"
}

parse_arguments "$@"
case $verb in
    demo) demo ;;
    build)
        # Not `build && …`: that would let build go on after a failed command.
        build
        say "Built below $binaries. As root: ./install.sh${prefix:+ --prefix $prefix} --binaries $binaries"
        ;;
    install) install_all ;;
    uninstall) uninstall_all ;;
esac
