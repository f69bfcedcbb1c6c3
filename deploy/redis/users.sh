#!/bin/sh
# Prints users.acl with a password for each user, as hashes: only who runs this learns the passwords.
#
#   deploy/redis/users.sh > /etc/redis/users.acl            each password is made at random and told on stderr
#   WORKER_PASSWORD=… deploy/redis/users.sh > users.acl     those that are set are used
#   VIEWER_PASSWORD=… deploy/redis/users.sh > users.acl     with a user who may look on: left out otherwise
#   PREFIX=fs2 deploy/redis/users.sh > users.acl            for another FACESTREAM_PREFIX than fs
set -eu

sha256() {
  if command -v sha256sum > /dev/null; then sha256sum; else shasum -a 256; fi | cut -c 1-64
}

edits="s/~fs:/~${PREFIX:-fs}:/g"
for user in producer worker tracker consumer viewer operator exporter; do
  variable=$(printf %s "$user" | tr '[:lower:]' '[:upper:]')_PASSWORD
  eval "password=\${$variable:-}"
  if [ -z "$password" ] && [ "$user" = viewer ]; then
    edits="$edits;/^user viewer /d"
    continue
  fi
  if [ -z "$password" ]; then
    password=$(od -An -N 24 -tx1 /dev/urandom | tr -d ' \n')
    echo "$user $password" >&2
  fi
  edits="$edits;s/#$user-password-sha256/#$(printf %s "$password" | sha256)/"
done
sed "$edits" "$(dirname "$0")/users.acl"
