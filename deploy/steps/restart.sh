# Replace each program that runs the code in its own way; where that is not wanted or cannot be, restart the service's
# container and wait until the app itself answers, or its programs run again.
# Expects containers.sh and what that expects, replacing (what deploy/inside/replacing is told; empty: not wanted), because
# (why not, where it is told), replace_timeout, answers (URLs, the first that is not 404 counts, asked with answers_host and
# answers_inside; none: its programs are waited for, as `awaiting` tells deploy/inside/awaiting), restart_timeout,
# alone (empty: others serve meanwhile), pause (seconds until the next of several), well_timeout (seconds within which it has to answer well by itself; 0: it is not asked), server,
# servers (how many masters of it run), reload, before (ill: the app did not answer before an update that is undone now, and
# need not afterwards).

# Its words come as it says them; why it could not is what it says last.
replace() {
  local inside_timeout=$replace_timeout killed
  # What the proof of this release has learned.
  ! [ -s demand ] || [[ ! $(<demand) =~ ^[0-9]+(\.[0-9]+)?$ ]] || replacing="${replacing%\}}, \"demand\": $(<demand)}"
  { because=$(inside replace "$replacing" </dev/null 2>&1 >&3 3>&-); } 3>&1 && return
  because=$(reason replace "$because")
  killed=$(tell_killed 1 2>&1)
  [ -z "$killed" ] || because=$(say '%s; %s' "$because" "$killed")
  return 1
}

# The state of the app server: its masters' pids, that is the pids whose parent is none of its own processes.
masters() {
  docker top "$container" -eo pid,ppid,args 2>/dev/null | awk -v server="$server" '
    NR > 1 && index($0, server) {parent[$1] = $2}
    END {for (pid in parent) if (!(parent[pid] in parent)) print pid}'
}

answer() {
  local url status
  for url in "${answers[@]}"; do
    status=$(fetch "$url" "$answers_host" "$answers_inside" 5 /dev/null)
    [ "$status" = 404 ] || break
  done
  # So says a proxy before the app, where nobody is behind it.
  case $status in 502 | 504) status=000 ;; esac
  printf '%s' "$status"
}

# give_up FORMAT VALUE...: why, after the newest lines of each log that was written since the restart, the newest log last.
give_up() {
  local log
  if [ "$before" = ill ]; then
    say '%s, as before the update' "$(say "$@")"
    exit 0
  fi
  # Without a name ls lists the working folder.
  { [ ${#logs[@]} = 0 ] || docker exec "$container" sh -c 'ls -tr "$@" 2>/dev/null' sh "${logs[@]}" 2>/dev/null; } | while read -r log; do
    # What was asked and answered says nothing of why the app is ill.
    case $log in *access*) continue ;; esac
    [ "$(docker exec "$container" stat -c %Y "$log" 2>/dev/null || echo 0)" -ge "$began" ] || continue
    say '== %s' "$log"
    docker exec "$container" tail -n 12 "$log" || true
  done || true
  said "$(say "$@")" "$(tell_killed 1 2>&1)" >&2
  exit 1
}

# await_well: one of several that is ill holds up the rest, who serve meanwhile.
await_well() {
  local status begin=$SECONDS
  [ "$well_timeout" != 0 ] || return 0
  until status=$(answer) && [[ $status == 2* ]]; do
    [ $((SECONDS - begin)) -lt "$well_timeout" ] || give_up '%s by itself answers %s' "$container" "$status"
    sleep 0.5
  done
  say '%s by itself is well (%s)' "$container" "$status"
}

# Supervisor restarts a crashed app server for ever, so "Up" proves nothing: more than one master in a row is a crash loop.
await_answer() {
  local status pid runs start begin=$SECONDS
  local -A seen=() starts=()
  while status=$(answer) && [ "$status" = 000 ]; do
    read -r runs start _ <<<"$(moment)"
    [ "$runs" = true ] || give_up 'the container %s stopped: %s' "$container" "$(container_error "$began")"
    # So it is with what comes before the app server, too.
    starts[$start]=1
    [ "${#starts[@]}" -lt 4 ] || give_up 'the container %s ends again and again: %s' "$container" "$(container_error "$began")"
    for pid in $(masters); do seen[$pid]=1; done
    [ "${#seen[@]}" -lt $((servers + 2)) ] || give_up 'the app crash-loops: %s was started %s times and never answered' "$server" "${#seen[@]}"
    [ $((SECONDS - begin)) -lt "$restart_timeout" ] || give_up 'the app does not answer, %s s after the restart' "$restart_timeout"
    sleep 0.3
  done
  say 'the app answers (%s)' "$status"
}

# The container may end, and with it who waits in there.
await_programs() {
  local inside_timeout=$replace_timeout words
  # How long a boot takes the proof has seen.
  ! [ -s boot ] || awaiting="${awaiting%\}}, \"boot\": $(<boot)}"
  { words=$(inside await "$awaiting" </dev/null 2>&1 >&3 3>&-); } 3>&1 && return
  # One that starts again and again runs at times.
  words=$(reason await "$words")
  [[ $words == "$mark"* ]] || words=$(say 'the container %s stopped' "$container")
  give_up '%s: %s' "$words" "$(container_error "$began")"
}

[ -z "$replacing" ] || inside_timeout=$replace_timeout stand_ready
await_turn
began=$(date +%s)
if [ -n "$replacing" ] && ! held && replace; then
  await_well
  exit 0
fi
said "$(say 'the container is restarted')" "$because"
if [ ${#answers[@]} != 0 ] && [ -n "$alone" ]; then say 'requests fail until the app answers, which may take up to %s s' "$restart_timeout"; fi
control restart
# With its first process the account begins anew.
killed_before=${killed_before:+0}
if [ ${#answers[@]} != 0 ]; then await_answer; else await_programs; fi
for command in "${reload[@]}"; do
  docker exec -u 0 "$container" sh -c "$command" || give_up '%s failed in %s' "$command" "$container"
done
[ ${#reload[@]} = 0 ] || [ ${#answers[@]} = 0 ] || [ "$(answer)" != 000 ] || give_up 'the app does not answer any more, after %s' "${reload[*]}"
await_well
# A proxy that had only the others' addresses meanwhile would find nobody once the next one stops.
sleep "$pause"
