#!/usr/bin/env bash
# The tests of the collection certcast.fleet, as ansible-test and ansible-lint run them, without a network.
#   tests/ansible/run.sh [build] [sanity] [units] [integration] [lint]     all of them where none is named
# The integration tests run the programs that Bazel has built, or those in $CERTCAST_BIN.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD

steps=("$@")
[ "${#steps[@]}" -gt 0 ] || steps=(build sanity units integration lint)

# Debian's Ansible goes with Debian's Python, whatever else is in PATH.
export PATH=/usr/bin:/bin:/usr/sbin:/sbin
python=/usr/bin/python3
work=$(mktemp -d -t certcast-ansible.XXXXXX)
beside=
finish() {
  # What runs beside this puts its hosts away first.
  if [ -n "$beside" ] && kill -- "-$beside" 2>/dev/null; then
    for _ in $(seq 300); do
      kill -0 -- "-$beside" 2>/dev/null || break
      sleep 0.1
    done
  fi
  rm -rf "$work"
}
trap finish EXIT
export HOME=$work/home LC_ALL=C.UTF-8 ANSIBLE_COLLECTIONS_PATH=$work/installed ANSIBLE_NOCOLOR=1
export PYTHONDONTWRITEBYTECODE=1 ANSIBLE_LOCALHOST_WARNING=False
mkdir -p "$HOME"

# ansible-test wants the collection where Ansible would look for it. What is tested is what the tarball holds, and the tests.
collection=$work/source/ansible_collections/certcast/fleet
mkdir -p "$(dirname "$collection")"
git ls-files -z --cached --others --exclude-standard ansible | (
  while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done
) | tar --null -cf - -T - | tar -xf - -C "$work"
mv "$work/ansible" "$collection"

# A test that could not run must not look as if it had passed.
run_test() { # arguments of ansible-test
  local log=$work/ansible-test-$1.log
  (cd "$collection" && ansible-test "$@" 2>&1) | tee "$log" | sed '/WARNING: .*locale/d'
  if grep -qE '^WARNING: .*([Ss]kip|[Nn]o tests)|no tests ran' "$log"; then
    echo "ansible: ansible-test $1 left something out" >&2
    return 1
  fi
}

run_step() {
  case "$1" in
    build)
      ansible-galaxy collection build --output-path "$work" "$collection"
      ansible-galaxy collection install --offline --no-deps "$work"/certcast-fleet-*.tar.gz
      ansible-doc -t module --list certcast.fleet
      ;;
    sanity)
      # Every test that the installed ansible-test has.
      mapfile -t tests < <(cd "$collection" && ansible-test sanity --list-tests 2>/dev/null)
      "$python" "$root/tests/ansible/sanity_environments.py" "${tests[@]}" import import.plugin
      run_test sanity --python "$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
      ;;
    integration)
      bin=${CERTCAST_BIN:-$root/bazel-bin}
      for program in "$bin/controller/certcast" "$bin/node/certcast-node"; do
        [ -x "$program" ] || { echo "ansible: $program is not there: bazel build //controller:certcast //node:certcast-node" >&2; return 1; }
      done
      printf 'certcast_program: %s\ncertcast_node_program: %s\n' "$(readlink -f "$bin/controller/certcast")" \
        "$(readlink -f "$bin/node/certcast-node")" >"$collection/tests/integration/integration_config.yml"
      run_test integration --allow-destructive
      ;;
    units) run_test units --python "$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')" ;;
    lint)
      # It looks roles and modules up where they are installed.
      [ -d "$work/installed" ] || run_step build
      (cd "$collection" && ansible-lint --offline --strict -p)
      ;;
    *)
      echo "ansible: unknown step $1" >&2
      return 2
      ;;
  esac
}

# The integration tests wait for hosts most of the time, so the other steps run beside them.
if [ "${#steps[@]}" -gt 1 ] && [[ " ${steps[*]} " = *" integration "* ]]; then
  cp -r "$work/source" "$work/beside"
  # In a process group of its own, to be ended with all that it started.
  set -m
  (
    collection=$work/beside/ansible_collections/certcast/fleet
    run_step integration
  ) >"$work/integration.log" 2>&1 &
  beside=$!
  set +m
fi
for step in "${steps[@]}"; do
  [ "$step" != integration ] || [ -z "$beside" ] || continue
  echo "-- ansible: $step"
  run_step "$step"
done
if [ -n "$beside" ]; then
  result=0
  wait "$beside" || result=$?
  beside=
  echo "-- ansible: integration"
  cat "$work/integration.log"
  exit "$result"
fi
