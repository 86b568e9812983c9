#!/usr/bin/env bash
# Every test: installs what is missing, builds everything, runs the unit and integration tests, the checks and the demo.
# The last line reads `N passed, N failed`.
set -uo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'USAGE'
usage: tests/run.sh [--fast] [BAZEL TARGET...]
  --fast   leave out the demo
Runs the given targets, or //... with the checks of tests/check.sh and the demo.
USAGE
}

demo=yes
targets=()
for argument in "$@"; do
  case "$argument" in
    --fast) demo=no ;;
    -h | --help)
      usage
      exit 0
      ;;
    -*)
      usage >&2
      exit 2
      ;;
    *) targets+=("$argument") ;;
  esac
done
everything=no
if [ "${#targets[@]}" -eq 0 ]; then
  targets=(//...)
  everything=yes
fi

passed=0
failed=0
bazel_was_running=no
! pgrep -f '^bazel\(' >/dev/null 2>&1 || bazel_was_running=yes
finish() {
  [ "$bazel_was_running" = yes ] || bazel shutdown 2>/dev/null
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
  exit
}
# A step outside of Bazel counts as one test.
step() { # name, command...
  local name=$1
  shift
  echo "== $name"
  if "$@"; then
    passed=$((passed + 1))
  else
    echo "== $name failed"
    failed=$((failed + 1))
  fi
}

if ! tests/setup.sh; then
  failed=1
  finish
fi

[ "$everything" = no ] || step "checks" tests/check.sh

echo "== build"
if ! bazel build --noshow_progress "${targets[@]}"; then
  echo "== the build failed"
  failed=$((failed + 1))
  finish
fi

echo "== tests"
logs=$(bazel info bazel-testlogs 2>/dev/null)
# So that what is counted is of this run.
rm -rf "${logs:?}"/*
# Many wait for most of their time.
bazel test --jobs='HOST_CPUS*1.5' --local_test_jobs='HOST_CPUS*1.5' --noshow_progress --build_tests_only \
  --cache_test_results=no --test_summary=terse --keep_going "${targets[@]}"
result=$?
while read -r suite_passed suite_failed; do
  passed=$((passed + suite_passed))
  failed=$((failed + suite_failed))
done < <(python3 tests/count_cases.py "$logs")
# Say so when Bazel saw a failure that no report holds.
[ "$result" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1

[ "$everything" = no ] || step "ansible" tests/ansible/run.sh

if [ "$everything" = yes ] && [ "$demo" = yes ]; then
  step "demo" tests/demo.sh
fi
finish
