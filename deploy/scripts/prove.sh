# Proves that a release serves as it should, by the host itself: curl without a proxy asks the checks; what they answered,
# the revision and the age of the app server's processes are judged in the container.
# Expects containers.sh and what that expects, probes (name, URL, Host and whether it is asked inside, of every alternative;
# none: only what runs counts), beside (the container's name, where others have been proven before), before (healthy or ill),
# prove_settings (of the new release), old_settings (of the old one), probe_timeout, health_timeout.
# Its argument says which release: `new`, or `old` after an undo, which has to be as healthy as it was before.

# Asks every check: a line each of its name, status and base64 of the answer, of the first path that is not 404.
ask() {
  local i name= body status
  [ ${#probes[@]} != 0 ] || return 0
  body=$(mktemp)
  for ((i = 0; i < ${#probes[@]}; i += 4)); do
    if [ "${probes[i]}" = "$name" ] && [ "$status" != 404 ]; then continue; fi
    [ -z "$name" ] || [ "${probes[i]}" = "$name" ] || tell
    name=${probes[i]}
    status=$(fetch "${probes[@]:i + 1:3}" "$probe_timeout" "$body")
  done
  tell
  rm -f "$body"
}
tell() { printf '%s\t%s\t%s\n' "$name" "$status" "$(base64 -w 0 "$body")"; }

judge() {
  local words
  words=$(ask | inside prove "$1" 2>&1) && return
  why=$words
  return 1
}

give_up() {
  why=${why##*$'\n'}
  if [ -n "$beside" ]; then said "$beside" "$why"; else printf '%s\n' "$why"; fi >&2
  exit 1
}

settings=$prove_settings
[ "$1" = new ] || settings=$old_settings
if [ "$1" = old ] && [ "$before" = ill ]; then
  say 'the app was ill before, so its health proves nothing'
  exit 0
fi
why=
begin=$SECONDS
until judge "$settings"; do
  [ $((SECONDS - begin)) -lt "$health_timeout" ] || give_up
  sleep 1
done
if [ -n "$beside" ]; then
  say 'and %s runs it too' "$container"
elif [ "$1" = new ]; then
  say 'the new release is healthy'
else
  say 'the old release is healthy'
fi
