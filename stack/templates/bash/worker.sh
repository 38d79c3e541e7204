#!/usr/bin/env bash
# Runs handler.sh as a worker of Ringway (see docs/worker-protocol.md).
#
#     mode=worker fprocess='bash worker.sh'
#
# One request at a time comes on standard input and is answered on standard output, both in the form
# of HTTP/1.1. The function `handle` of handler.sh is run in a shell of its own for each request: the
# body is its standard input, and what it writes is the body of the answer. It finds $method, $path,
# $query and the array ${headers[lower-case-name]}; `status 404` and `header 'Name: value'` say what
# else the answer has. A code other than 0 is status 500 unless it said another; the worker goes on.
# Bodies may hold any byte. What goes to standard error goes to the log.
set -u
export LC_ALL=C

own=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# Each request has a folder of its own in that of its worker: what one leaves running writes to nobody
# else's. A worker that was killed could not clear up, so the next one does.
root=${TMPDIR:-/tmp}/ringway-worker.$$
for old in "${root%.*}".*; do kill -0 "${old##*.}" 2>/dev/null || rm -rf "$old"; done
rm -rf "$root"
mkdir -m 700 "$root" || exit
trap 'rm -rf "$root"' EXIT
# For the handler: the folder of the worker while it is loaded, and that of the request later.
work=$root
declare -A headers
requests=0

status() { printf '%s' "$1" >"$work/status"; }
header() {
  case $1 in *$'\r'* | *$'\n'*) echo "a header has a line break in it" >&2 && return 1 ;; esac
  printf '%s\r\n' "$1" >>"$work/headers"
}

# The function itself, and the helpers that it wants to load once.
. "$own/handler.sh"

# Reads one request: the head into variables, the body into a file. False when there are no more.
read_request() {
  local line name value
  IFS=' ' read -r method target line || return 1
  path=${target%%\?*} query=
  [[ $target == *\?* ]] && query=${target#*\?}
  headers=()
  while true; do
    # The end of the input within a head: of a request that is not whole nothing is done.
    IFS= read -r line || return 1
    line=${line%$'\r'}
    [[ -n $line ]] || break
    name=${line%%:*} value=${line#*:}
    value=${value#"${value%%[! ]*}"}
    name=${name,,}
    headers[$name]=${headers[$name]:+${headers[$name]}, }$value
  done
  length=${headers[content-length]:-0}
  work=$root/$((++requests))
  mkdir "$work"
  # `read` takes no byte more than it needs from a pipe, so that the body is there for `head`.
  : >"$work/body"
  ((length == 0)) || head -c "$length" >"$work/body"
  # Of a request that is not whole nothing is done.
  [[ $(wc -c <"$work/body") == "$length" ]]
}

answer() {
  local code=200 size
  : >"$work/headers"
  if ! (handle) <"$work/body" >"$work/out"; then code=500; fi
  [[ -f $work/status ]] && code=$(<"$work/status")
  [[ $code =~ ^[2-5][0-9][0-9]$ ]] || { echo "\`$code\` is no status from 200 to 599" >&2 && code=500; }
  size=$(wc -c <"$work/out")
  grep -qi '^content-type:' "$work/headers" || header 'Content-Type: text/plain; charset=utf-8'
  {
    printf 'HTTP/1.1 %s -\r\nContent-Length: %d\r\n' "$code" "$size"
    cat "$work/headers"
    printf '\r\n'
    [[ $method == HEAD || $code == 204 || $code == 304 ]] || cat "$work/out"
  } >"$work/answer"
  cat "$work/answer"
  rm -rf "$work"
}

while read_request; do answer; done
