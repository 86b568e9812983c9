#!/usr/bin/env bash
# The tests that leave something out by default, in full. The last line reads `N passed, N failed`.
set -uo pipefail
cd "$(dirname "$0")/.."

seconds=60

usage() {
  cat <<USAGE
usage: tests/long.sh [--wire-seconds N] [crash] [wire]
  crash               tests/crash: the agent is killed before and after every call by which it changes files, and again at
                      every call of the recovery after each of these
  wire                tests/integration/wire_test: each attack on the agent lasts N seconds
  --wire-seconds N    the default is $seconds
Both, unless one is named. Prints how many kills there were, what the agent held, and how long each part took.
On two cores that were busy otherwise too: crash about an hour, wire 195 s with N = 10.
USAGE
}

parts=()
while [ "$#" -gt 0 ]; do
  case "$1" in
    crash | wire) parts+=("$1") ;;
    --wire-seconds)
      if [ "$#" -lt 2 ]; then
        usage >&2
        exit 2
      fi
      seconds=$2
      shift
      ;;
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
done
[ "${#parts[@]}" -gt 0 ] || parts=(crash wire)
# The test waits this long at most for what follows an attack.
if [[ ! $seconds =~ ^[1-9][0-9]{0,2}$ ]] || [ "$seconds" -gt 240 ]; then
  echo "long: --wire-seconds $seconds: expected a number from 1 to 240" >&2
  exit 2
fi

passed=0
failed=0
# In full: with VARIABLE=VALUE in its environment. What its cases print of what they did is shown.
run() { # target, VARIABLE=VALUE
  local target=$1 started=$SECONDS result logs suite_passed suite_failed
  logs=$(bazel info bazel-testlogs 2>/dev/null)/$(tr : / <<<"${target#//}")
  # So that what is counted is of this run.
  rm -rf "${logs:?}"
  echo "== $target with $2"
  bazel test --noshow_progress --cache_test_results=no --test_summary=terse --test_timeout=14400 "--test_env=$2" "$target"
  result=$?
  find "$logs" -name test.log -exec grep -ahE '^[A-Z].* kills[,;]|^memory in KiB' {} +
  find "$logs" -name test.log -exec grep -ahoE '[0-9]+ (second )?kills' {} + |
    awk '{ n = $1; $1 = ""; sum[$0] += n } END { for (what in sum) print "== in all " sum[what] what }'
  echo "== $target took $((SECONDS - started)) s"
  while read -r suite_passed suite_failed; do
    passed=$((passed + suite_passed))
    failed=$((failed + suite_failed))
    [ "$suite_failed" -eq 0 ] || result=0
  done < <(python3 tests/count_cases.py "$logs")
  # A failure that no report holds.
  [ "$result" -eq 0 ] || failed=$((failed + 1))
}

if tests/setup.sh; then
  for part in "${parts[@]}"; do
    case "$part" in
      crash) run //tests/crash:real_binary_test CERTCAST_CRASH_TABLE=full ;;
      wire) run //tests/integration:wire_test "CERTCAST_ATTACK_SECONDS=$seconds" ;;
    esac
  done
else
  failed=1
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
