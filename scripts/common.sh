# shellcheck shell=bash
# Sourced by the scripts beside it: where things are, how they speak, how they wait.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TOOLS=$ROOT/.tools
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
WASM=$TARGET/wasm32-unknown-unknown/release/tollgate_filter.wasm
# The newest of each supported line that has V8 (the 1.38.3 wheel has not); the last is the default.
ENVOY_VERSIONS="1.36.4 1.37.0 1.38.2 1.39.3 1.40.0"
PATH=$TOOLS/bin:$PATH

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
    say "$*"
    exit 1
}

# A folder for what is half done, beside its final place so that a rename is atomic. Gone when the script ends.
make_scratch() {
    mkdir -p "$TOOLS"
    SCRATCH=$(mktemp -d "$TOOLS/scratch.XXXXXX")
    trap 'jobs -p | while read -r job; do kill "$job" 2>/dev/null || true; done; rm -rf "$SCRATCH"' EXIT
    trap 'exit 130' INT TERM
}

# bounded SECONDS COMMAND...: a download that hangs must not hang us.
TIMEOUT=$(type -P timeout || type -P gtimeout) || die "neither timeout nor gtimeout found: install coreutils"
bounded() { "$TIMEOUT" --kill-after=5 "$@"; }

# step WHAT SECONDS COMMAND...: bounded, says every ten seconds that it is alive, shows the output only of a failure.
step() {
    local what=$1 seconds=$2 log job started=$SECONDS status=0
    shift 2
    log=$(mktemp "$SCRATCH/step.XXXXXX")
    say "$what (at most $seconds s)"
    # Not through a function, so that this is the process to kill; it passes the signal on.
    "$TIMEOUT" --kill-after=5 "$seconds" "$@" >"$log" 2>&1 </dev/null &
    job=$!
    while kill -0 "$job" 2>/dev/null; do
        sleep 0.2
        if ((SECONDS - started >= 10 && (SECONDS - started) % 10 == 0)); then
            say "  ... $((SECONDS - started)) s"
            sleep 1
        fi
    done
    wait "$job" || status=$?
    if ((status != 0)); then
        tail -n 20 "$log" | sed 's/^/  | /' >&2
        say "$what: failed after $((SECONDS - started)) s (exit code $status)"
    fi
    return "$status"
}

# retried WHAT SECONDS COMMAND...: three steps at most.
retried() {
    step "$@" || { sleep 2 && step "$@"; } || { sleep 5 && step "$@"; }
}

# install_folder NEW FINAL: whoever renames first wins; a second run that builds the same finds it there.
install_folder() {
    if [[ -e $2 ]]; then
        mv "$2" "$SCRATCH/replaced.$RANDOM" 2>/dev/null || true
    fi
    python3 -c 'import os, sys; os.rename(sys.argv[1], sys.argv[2])' "$1" "$2" 2>/dev/null || [[ -d $2 ]]
}

# apt_install PACKAGE...: only where that needs no password.
apt_install() {
    local as_root=()
    command -v apt-get >/dev/null || return 1
    if ((EUID != 0)); then
        sudo -n true 2>/dev/null || return 1
        as_root=(sudo -n)
    fi
    local install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@")
    step "apt-get install $*" 300 "${install[@]}" && return
    step "apt-get update" 120 "${as_root[@]}" apt-get update && step "apt-get install $*" 300 "${install[@]}"
}

# What the tests and `tollgate up` find their tools by.
export_environment() {
    TOLLGATE_ENVOY=$("$ROOT/scripts/setup-envoy")
    export TOLLGATE_ENVOY
    export TOLLGATE_ENVOY_VERSIONS=$ENVOY_VERSIONS
    export TOLLGATE_WASM=$WASM
    export TOLLGATE_BIN=$TARGET/native/tollgate
    export TOLLGATE_SDK_PYTHON=$TOOLS/python/bin/python
    export TOLLGATE_SDK_NODE=$TOOLS/node
}
