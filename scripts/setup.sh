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

# apt_install PURPOSE PACKAGE...: installs with apt where that is possible without asking anybody.
apt_install() {
    purpose=$1
    shift
    if ! command -v apt-get >/dev/null; then
        fail "$purpose is missing, and this machine has no apt" "install with your package manager what Debian calls: $*"
    fi
    if [ "$(id -u)" = 0 ]; then
        root=""
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        root="sudo -n"
    else
        fail "$purpose is missing" "run: sudo apt-get update && sudo apt-get install -y $*" "then start this again"
    fi
    say "installing $* with apt for $purpose (usually less than a minute)"
    $root apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq "$@" >/dev/null
}

check_git() {
    command -v git >/dev/null || apt_install "git" git ca-certificates
}

check_c_compiler() {
    command -v cc >/dev/null || apt_install "a C compiler (for SQLite, zstd and ring)" gcc libc6-dev
}

check_rust() {
    wanted=$(rust_wanted)
    [ -d "${CARGO_HOME:-$HOME/.cargo}/bin" ] && PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    have=$(rustc --version 2>/dev/null | awk '{print $2}') || have=""
    if [ -n "$have" ] && command -v cargo >/dev/null && version_at_least "$have" "$wanted"; then
        return
    fi
    if command -v rustup >/dev/null; then
        say "installing Rust $wanted with rustup (about a minute), since rustc ${have:-is missing} ${have:+is too old}"
        rustup toolchain install "$wanted" --profile minimal --component rustfmt --component clippy
        export RUSTUP_TOOLCHAIN="$wanted"
        return
    fi
    fail "Rust $wanted or newer is needed${have:+; this is $have}, and rustup is not here to install it" \
        "Debian's own rustc is too old. With apt: sudo apt-get install -y rustup && rustup default stable" \
        "or see https://rustup.rs, then start this again"
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

# go_found: whether a Go is there that can build the test control plane. Sets go_have.
go_found() {
    for dir in /usr/local/go/bin "$HOME/go/bin"; do
        command -v go >/dev/null || { [ -x "$dir/go" ] && PATH="$PATH:$dir"; } || true
    done
    go_have=$(GOTOOLCHAIN=local go version 2>/dev/null | awk '{sub("go","",$3); print $3}') || go_have=""
    [ -n "$go_have" ] || return 1
    version_at_least "$go_have" "$(go_wanted)" && return 0
    # From 1.21 on, Go fetches the version that a module asks for through the Go module proxy.
    version_at_least "$go_have" 1.21 && [ "$(go env GOTOOLCHAIN)" != local ]
}
