#!/usr/bin/env bash
# Writes deploy/.env with new secrets: deploy/new-env.sh [FILE]. A file that is there is left alone: the data need its secrets.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
env=${1:-$here/.env}
[ ! -e "$env" ] || { printf '%s is there already\n' "$env" >&2; exit 1; }
umask 077
while IFS= read -r line; do
    case $line in
    [A-Z]*=change-me) printf '%s=%s\n' "${line%%=*}" "$(openssl rand -hex 32)" ;;
    *) printf '%s\n' "$line" ;;
    esac
done <"$here/.env.example" >"$env"
