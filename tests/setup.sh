#!/usr/bin/env bash
# Installs the Debian 12 packages that certcast is built and tested with. Does nothing where they are all there.
#   tests/setup.sh            for tests/run.sh
#   tests/setup.sh --bench    also what tests/bench compares with
set -euo pipefail

case "$*" in
  "") bench=() ;;
  --bench) bench=(clustershell pdsh uacme) ;;
  *)
    echo "setup: unknown argument $*; try --bench" >&2
    exit 2
    ;;
esac

packages=(
  # The build.
  bazel-bootstrap bazel-platforms bazel-rules-java bazel-rules-proto bazel-skylib g++ pkg-config python3
  libabsl-dev libc-ares-dev libcli11-dev libcurl4-openssl-dev libgrpc++-dev libldns-dev libprotobuf-dev libre2-dev
  libsqlite3-dev libssh-dev libssl-dev libyaml-cpp-dev nlohmann-json3-dev protobuf-compiler protobuf-compiler-grpc zlib1g-dev
  # The tests.
  libbenchmark-dev libgmock-dev libgtest-dev
  apache2 bind9 binutils busybox ca-certificates caddy certbot csh curl dehydrated dovecot-imapd dovecot-lmtpd dovecot-pop3d fish git
  haproxy iproute2 ldap-utils lego
  mariadb-server nginx-light openjdk-17-jre-headless openssh-client openssh-server openssl pebble postfix postgresql-15 procps
  prometheus-node-exporter prosody slapd sudo unbound vsftpd
  # tests/fuzz.sh and tests/sanitize.sh.
  clang-14 libclang-rt-14-dev lld-14 llvm-14
  # tests/ansible and what else runs a playbook.
  ansible-core ansible-lint pycodestyle pylint python3-mock python3-pytest python3-pytest-forked python3-pytest-xdist
  python3-venv python3-voluptuous shellcheck systemd yamllint
  # tests/check.sh.
  clang-format clang-tidy
  "${bench[@]}"
)

missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ "${#missing[@]}" -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ]; then
  echo "setup: missing packages: ${missing[*]}" >&2
  echo "setup: run this as root, or install them yourself: apt-get install ${missing[*]}" >&2
  exit 1
fi

# A server package starts its service when installed; the tests start their own servers, on ports of their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
fi

echo "setup: installing ${#missing[@]} packages: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { apt-get update -q && apt-get install -y -q --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 40 "$log" >&2
  echo "setup: apt-get failed; its whole output is in $log" >&2
  exit 1
fi
rm -f "$log"
