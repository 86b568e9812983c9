#!/usr/bin/env bash
# Fuzzes what reads input from outside (tests/fuzz) with libFuzzer and the address and undefined-behaviour sanitizers.
# Exit code 1 when an input was found for which a promise does not hold; it is kept and named.
set -euo pipefail
from=$PWD
cd "$(dirname "$0")/.."

seconds=60
state=${XDG_CACHE_HOME:-$HOME/.cache}/certcast-fuzz
all=()
while read -r line; do all+=("$line"); done < <(sed -n '/^fuzz_target(/,/^)/s/^    name = "\(.*\)",$/\1/p' tests/fuzz/BUILD)

usage() {
  cat <<USAGE
usage: tests/fuzz.sh [--seconds N] [--state DIRECTORY] [TARGET...]
  --seconds N          for each target, one after the other; the default is $seconds
  --state DIRECTORY    where corpora grow and what was found stays; the default is $state
Targets: ${all[*]}
USAGE
}

targets=()
while [ "$#" -gt 0 ]; do
  case "$1" in
    --seconds | --state)
      if [ "$#" -lt 2 ]; then
        usage >&2
        exit 2
      fi
      [ "$1" = --seconds ] && seconds=$2 || state=$2
      shift
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      if [[ " ${all[*]} " != *" $1 "* ]]; then
        usage >&2
        exit 2
      fi
      targets+=("$1")
      ;;
  esac
  shift
done
[ "${#targets[@]}" -gt 0 ] || targets=("${all[@]}")
# For libFuzzer 0, and what is no number, is without an end.
if [[ ! $seconds =~ ^[1-9][0-9]{0,8}$ ]]; then
  echo "fuzz: --seconds $seconds: expected a number above 0" >&2
  exit 2
fi
case "$state" in
  /*) ;;
  *) state=$from/$state ;;
esac

tests/setup.sh
mkdir -p "$state"
# Clang has an output base of its own, so that what GCC built stays.
fuzzers=("${targets[@]/#///tests/fuzz:}")
fuzzers=("${fuzzers[@]/%/_fuzzer}")
bazel=(bazel "--output_base=$state/bazel")
"${bazel[@]}" build --config=fuzz --symlink_prefix=/ --noshow_progress "${fuzzers[@]}"
bin=$("${bazel[@]}" info --config=fuzz bazel-bin 2>/dev/null)/tests/fuzz

# The examples are inputs too, as in tests/fuzz/BUILD.
mkdir -p "$state"/corpus/{node_config,controller_config}
cp docs/examples/node.yaml "$state/corpus/node_config/"
cp docs/examples/certcast.yaml "$state/corpus/controller_config/"

found=()
for target in "${targets[@]}"; do
  corpus=$state/corpus/$target
  artifacts=$state/found/$target
  log=$state/$target.log
  mkdir -p "$corpus" "$artifacts"
  "$bin/${target}_fuzzer" --write-seeds="$corpus"
  for file in "tests/fuzz/corpus/$target"/*; do
    [ ! -f "$file" ] || cp "$file" "$corpus/"
  done
  echo "== $target for $seconds s"
  options=(-max_total_time="$seconds" -max_len=8192 -timeout=25 -rss_limit_mb=2048 -artifact_prefix="$artifacts/")
  if ASAN_SYMBOLIZER_PATH=/usr/bin/llvm-symbolizer-14 "$bin/${target}_fuzzer" "${options[@]}" "$corpus" >"$log" 2>&1; then
    grep -a 'DONE' "$log" | tail -n 1
  else
    grep -aE 'does not hold|ERROR|runtime error|SUMMARY|Test unit written' "$log" || tail -n 20 "$log"
    found+=("$target")
  fi
done
if [ "${#found[@]}" -gt 0 ]; then
  echo "fuzz: found something in ${found[*]}; the inputs are in $state/found" >&2
  exit 1
fi
