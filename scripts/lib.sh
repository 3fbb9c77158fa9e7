# Shared by the scripts beside it (source it; do not run it): a clean environment and one line per step.
# Written for bash 3.2 and later, so that it also runs on a Mac.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$ROOT"

# Without .pyc files Airflow takes twice as long to start.
unset PYTHONDONTWRITEBYTECODE PYTHONPATH PYTHONHOME
# The caller's Airflow settings and connections (a real ARM among them) must not reach the demo or the tests.
# shellcheck disable=SC2086
unset ${!AIRFLOW_@}
export PIP_DISABLE_PIP_VERSION_CHECK=1

fail() {
    echo "error: $*" >&2
    exit 1
}

# step "what it does" command...: silent while it works, its whole output when it fails.
step() {
    local what="$1" log start=$SECONDS
    shift
    log="$(mktemp)"
    if "$@" >"$log" 2>&1 </dev/null; then
        printf '  %-52s %4d s\n' "$what" $((SECONDS - start)) >&2
        rm -f "$log"
    else
        printf '  %-52s failed\n' "$what" >&2
        cat "$log" >&2
        rm -f "$log"
        return 1
    fi
}
