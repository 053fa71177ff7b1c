# Sourced by scripts/test and scripts/demo: finds out what this machine has, and installs what is missing through its own package
# managers where it may. Where it may not, it prints the exact line to run and stops.

say() { printf '== %s\n' "$*"; }
fail() {
    printf 'error: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '       %s\n' "$line" >&2; done
    exit 1
}

# version_at_least HAVE WANT: compares dotted numbers.
version_at_least() {
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

# Rust as in the workspace's own manifest, so that the number stands in one place.
rust_wanted() { sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml; }
go_wanted() { sed -n 's/^go \([0-9]*\.[0-9]*\).*/\1/p' tools/controlplane/go.mod; }

# may_apt: whether apt can install something without asking anybody. Sets root.
may_apt() {
    command -v apt-get >/dev/null || return 1
    root=""
    [ "$(id -u)" = 0 ] && return 0
    root="sudo -n"
    command -v sudo >/dev/null && sudo -n true 2>/dev/null
}

# apt_offers PACKAGE VERSION: whether apt would install at least that version.
apt_offers() {
    candidate=$(apt-cache policy "$1" 2>/dev/null | awk '/Candidate:/ {sub(/^[0-9]+:/, "", $2); print $2}')
    [ -n "$candidate" ] && [ "$candidate" != "(none)" ] && version_at_least "$candidate" "$2"
}

# apt_install PURPOSE PACKAGE...: installs with apt, or prints the line to run and stops.
apt_install() {
    purpose=$1
    shift
    if ! command -v apt-get >/dev/null; then
        fail "$purpose is missing, and this machine has no apt" "install with your package manager what Debian calls: $*"
    fi
    if ! may_apt; then
        fail "$purpose is missing" "run: sudo apt-get update && sudo apt-get install -y $*" "then start this again"
    fi
    say "installing $* with apt for $purpose (usually less than a minute)"
    $root apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq "$@" >/dev/null
}

# What trueup asks of git: docs/operating.md.
oldest_git=2.31

git_found() {
    git_have=$(git --version 2>/dev/null | awk '{print $3}') || git_have=""
    [ -n "$git_have" ] && version_at_least "$git_have" "$oldest_git"
}

check_git() {
    git_found && return
    apt_install "git $oldest_git or newer" git ca-certificates
    git_found || fail "git $oldest_git or newer is needed; apt has ${git_have:-none}" \
        "install a newer one, such as your distribution's backport, then start this again"
}

check_c_compiler() {
    command -v cc >/dev/null || apt_install "a C compiler (for SQLite, zstd and ring)" gcc libc6-dev
}

# libFuzzer comes as source, in C++.
check_cxx_compiler() {
    command -v c++ >/dev/null || apt_install "a C++ compiler (for the fuzz targets)" g++
}

check_rust() {
    wanted=$(rust_wanted)
    [ -d "${CARGO_HOME:-$HOME/.cargo}/bin" ] && PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    have=$(rustc --version 2>/dev/null | awk '{print $2}') || have=""
    if [ -n "$have" ] && command -v cargo >/dev/null && version_at_least "$have" "$wanted"; then
        return
    fi
    if ! command -v rustup >/dev/null && apt_offers rustup 1 && may_apt; then
        apt_install "Rust" rustup
    fi
    if command -v rustup >/dev/null; then
        say "installing Rust $wanted with rustup (about a minute), since $([ -n "$have" ] && echo "rustc $have is too old" || echo "there is none")"
        rustup toolchain install "$wanted" --profile minimal --component rustfmt --component clippy
        export RUSTUP_TOOLCHAIN="$wanted"
        return
    fi
    fail "Rust $wanted or newer is needed${have:+; this is $have}, and rustup is not here to install it" \
        "run: sudo apt-get install -y rustup (Debian 13 and later), or install it from https://rustup.rs" \
        "then start this again; Debian's own rustc is too old"
}

check_rust_components() {
    for component in fmt clippy; do
        cargo "$component" --version >/dev/null 2>&1 && continue
        command -v rustup >/dev/null || fail "cargo $component is missing" "install it as you installed Rust"
        name=$component
        [ "$component" = fmt ] && name=rustfmt
        say "installing $name with rustup"
        rustup component add "$name"
    done
}

# From 1.21 on, Go fetches the version that a module asks for through the Go module proxy, unless it is told not to.
oldest_go=1.21

# go_found: whether a Go is there, or can be had, that builds the test control plane. Sets go_have.
go_found() {
    command -v go >/dev/null || [ ! -x /usr/local/go/bin/go ] || PATH="$PATH:/usr/local/go/bin"
    if ! command -v go >/dev/null && apt_offers golang-go "$oldest_go" && may_apt; then
        apt_install "the cluster tier" golang-go
    fi
    go_have=$(GOTOOLCHAIN=local go version 2>/dev/null | awk '{sub("go", "", $3); print $3}') || go_have=""
    [ -n "$go_have" ] || return 1
    version_at_least "$go_have" "$(go_wanted)" && return 0
    # Debian's package is told not to fetch newer versions; here it may.
    version_at_least "$go_have" "$oldest_go" && export GOTOOLCHAIN=auto
}

go_found_as() { [ -n "$go_have" ] && echo "this is $go_have" || echo "there is none"; }

# check_sshd: the tests of repositories over ssh start a server of their own, on loopback. apt would start the machine's: that
# nobody asked for, so it is kept from that, now and at the next start of the machine.
check_sshd() {
    PATH="$PATH:/usr/sbin" command -v sshd >/dev/null && return
    if may_apt && apt_offers openssh-server 1; then
        denied=""
        if [ ! -e /usr/sbin/policy-rc.d ]; then
            printf '#!/bin/sh\nexit 101\n' | $root tee /usr/sbin/policy-rc.d >/dev/null
            $root chmod 755 /usr/sbin/policy-rc.d
            denied=yes
        fi
        # In a shell of its own: without this server only a few tests are left out.
        (apt_install "tests over ssh" openssh-server) || true
        [ -z "$denied" ] || $root rm -f /usr/sbin/policy-rc.d
        ! command -v systemctl >/dev/null || $root systemctl disable --quiet ssh.service ssh.socket 2>/dev/null || true
    fi
    PATH="$PATH:/usr/sbin" command -v sshd >/dev/null && return
    [ "${CI:-}" != true ] || fail "sshd is missing, and the tests over ssh may not be left out where CI=true" \
        "run: sudo apt-get install -y openssh-server"
    say "tests over ssh LEFT OUT: there is no sshd (Debian: openssh-server)"
}

# check_gojq: the table of jq's results holds without it; with it the table itself is checked.
check_gojq() {
    command -v gojq >/dev/null && return
    if may_apt && apt_offers gojq 0.12; then
        (apt_install "the check of jq's results" gojq) || true
    fi
    command -v gojq >/dev/null || say "the check of jq's results against gojq is LEFT OUT: there is no gojq (Debian: gojq)"
}

# check_valgrind: it counts the instructions that comparing takes; without it that budget is not checked.
check_valgrind() {
    command -v valgrind >/dev/null && return
    if may_apt; then
        (apt_install "the budget of instructions" valgrind) || true
    fi
    command -v valgrind >/dev/null || say "the budget of instructions is LEFT OUT: there is no valgrind (Debian: valgrind)"
}
