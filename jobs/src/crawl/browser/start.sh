# shellcheck shell=sh
# Starts the browser ($2…) in a session of its own, with its protocol on 3 and 4, and waits until its owner ends or lets go:
# then standard error, which is a pipe from it, is at its end. Whatever happens to the owner, no process and no file stays.
exec 3<&0 4>&1 5<&2 0</dev/null 1>"$1/log" 2>&1
folder=$1
shift
setsid "$@" 5<&- &
browser=$!
# What stops a whole group of processes is not for this one, which has to clear away.
trap '' HUP INT TERM
exec 3<&- 4>&-
read -r _ <&5
kill -s KILL -- "-$browser" "$browser"
wait
rm -rf -- "$folder" || { sleep 1; rm -rf -- "$folder"; }
