#!/usr/bin/env bash
# Runs the unit tests with a sanitizer; exit code 1 when one found something.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'USAGE'
usage: tests/sanitize.sh address|thread [BAZEL TARGET...]
  address   addresses, leaks and undefined behaviour
  thread    races and locks that are taken in two orders
The default targets are all unit tests. Bazel's own state of it is kept below $XDG_CACHE_HOME/certcast-sanitize.
USAGE
}

case "${1:-}" in
  address) config=asan ;;
  thread) config=tsan ;;
  -h | --help)
    usage
    exit 0
    ;;
  *)
    usage >&2
    exit 2
    ;;
esac
shift
if [ "$#" -eq 0 ]; then
  # A static program can't have a sanitizer in it.
  set -- //common/... //controller/... //node/... -//node:static_test
  # Has an operator new of its own, and so has the sanitizer. It has one thread.
  [ "$config" = asan ] || set -- "$@" -//common/secret:secret_test
fi

tests/setup.sh
state=${XDG_CACHE_HOME:-$HOME/.cache}/certcast-sanitize
mkdir -p "$state"
# The targets' sizes say how long they take without a sanitizer.
bazel "--output_base=$state/bazel" test "--config=$config" --symlink_prefix=/ --noshow_progress --build_tests_only \
  --keep_going --test_timeout=3600 --test_summary=terse -- "$@"
