#!/usr/bin/env bash
# Formats, lints, and fails when anything differs from what is committed or a rule is broken.
#   tests/check.sh          format of everything, the rules below, clang-tidy on files changed since the last commit
#   tests/check.sh --all    clang-tidy on every file (slow)
#   tests/check.sh --fix    writes the format instead of failing
set -euo pipefail
cd "$(dirname "$0")/.."

fix=no
tidy=changed
for argument in "$@"; do
  case "$argument" in
    --fix) fix=yes ;;
    --all) tidy=all ;;
    *)
      echo "check: unknown argument $argument; try --all or --fix" >&2
      exit 2
      ;;
  esac
done

failures=0
fail() {
  echo "check: $1" >&2
  shift
  [ "$#" -eq 0 ] || printf '  %s\n' "$@" >&2
  failures=$((failures + 1))
}

mapfile -t sources < <(git ls-files --cached --others --exclude-standard '*.cc' '*.h')
mapfile -t scripts < <(git ls-files --cached --others --exclude-standard '*.sh' '.ci/run')

if [ "$fix" = yes ]; then
  clang-format -i "${sources[@]}"
else
  unformatted=$(clang-format --dry-run "${sources[@]}" 2>&1 | sed -n 's/: warning: code should be clang-formatted.*//p' |
    cut -d: -f1 | sort -u)
  [ -z "$unformatted" ] || fail "not formatted; run tests/check.sh --fix:" $unformatted
fi

for script in "${scripts[@]}"; do
  bash -n "$script" || fail "$script does not parse"
done

# Rules that a tool can hold.
rule() { # what, pattern, paths...
  local what=$1 pattern=$2 hits
  shift 2
  hits=$(git grep --untracked -nE "$pattern" -- "$@" || true)
  [ -z "$hits" ] || fail "$what" "$hits"
}
rule "a shell, where argv would do:" '\b(system|popen)\(' '*.cc' '*.h'
rule "a sleep in a test:" '(sleep_for|SleepFor|usleep\(|\bsleep\()' '*_test.cc'
rule "a test switched off:" '(DISABLED_|GTEST_SKIP)' '*.cc'
rule "left for later:" '\b(TODO|FIXME|XXX)\b' '*.cc' '*.h' '*.proto' '*.py' BUILD '*/BUILD'
rule "opened to everybody outside of proto, tests/testing and third_party:" 'visibility = \["//visibility:public"\]' \
  'common/**/BUILD' 'controller/**/BUILD' 'node/**/BUILD'
rule "the node and the controller know each other:" '#include "controller/' 'node/*' 'common/*'
rule "the node and the controller know each other:" '#include "node/' 'controller/*' 'common/*'
for header in $(git ls-files --cached --others --exclude-standard '*.h'); do
  guard="CERTCAST_$(echo "${header%.h}" | tr 'a-z/.-' 'A-Z___')_H_"
  grep -q "^#ifndef $guard\$" "$header" || fail "$header: its guard should be $guard"
done

case "$tidy" in
  all) mapfile -t linted < <(git ls-files --cached --others --exclude-standard '*.cc') ;;
  changed) mapfile -t linted < <({
    git diff --name-only --diff-filter=d HEAD -- '*.cc'
    git ls-files --others --exclude-standard '*.cc'
  } | sort -u) ;;
esac
if [ "${#linted[@]}" -gt 0 ]; then
  # clang-tidy needs the generated headers, and ldns's the definition that third_party/BUILD gives them.
  bazel build --noshow_progress --ui_event_filters=-info //proto/... || fail "the protos do not build"
  generated=$(bazel info bazel-bin 2>/dev/null)/proto
  printf '%s\n' "${linted[@]}" |
    xargs -P "$(nproc)" -I{} clang-tidy --quiet {} -- -std=c++20 -I. -isystem "$generated" \
      -D__bool_true_false_are_defined=1 2>/dev/null ||
    fail "clang-tidy found something"
fi

if [ "$failures" -gt 0 ]; then
  echo "check: $failures problems" >&2
  exit 1
fi
echo "check: ${#sources[@]} sources and ${#scripts[@]} scripts are as they should be" >&2
