# Replace the app server's workers one by one; where that is not wanted or cannot be, restart the service's container and
# wait until the app itself answers.
# Expects containers.sh and what that expects, rolling (what deploy/inside/rolling is told; empty: not wanted), because
# (why not, where it is told), roll_timeout, answers (URLs, the first that is not 404 counts), restart_timeout, server,
# reload, before (ill: the app did not answer before an update that is undone now, and need not afterwards).

# Its words come as it says them; why it could not is what it says last.
roll() {
  local inside_timeout=$roll_timeout killed
  { because=$(inside roll "$rolling" </dev/null 2>&1 >&3 3>&-); } 3>&1 && return
  because=${because##*$'\n'}
  because=${because#roll: }
  killed=$(tell_killed 1 2>&1)
  because+=${killed:+; $killed}
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
    status=$(curl -s --noproxy '*' -o /dev/null -w '%{http_code}' --max-time 5 "$url") || true
    [ "$status" = 404 ] || break
  done
  printf '%s' "$status"
}

# give_up WHY: the facts and the newest lines of each log that was written since the restart, the newest log last.
give_up() {
  local log killed
  if [ "$before" = ill ]; then
    echo "$1, as before the update"
    exit 0
  fi
  docker exec "$container" sh -c 'ls -tr "$@" 2>/dev/null' sh "${logs[@]}" 2>/dev/null | while read -r log; do
    # What was asked and answered says nothing of why the app is ill.
    case $log in *access*) continue ;; esac
    [ "$(docker exec "$container" stat -c %Y "$log")" -ge "$began" ] || continue
    echo "== $log"
    docker exec "$container" tail -n 12 "$log" || true
  done
  killed=$(tell_killed 1 2>&1)
  echo "$1${killed:+: $killed}" >&2
  exit 1
}

if [ -n "$rolling" ] && roll; then exit 0; fi
echo "the container is restarted${because:+: $because}"
echo "requests fail until the app answers, which may take up to $restart_timeout s"
began=$(date +%s)
control restart
# With its first process the account begins anew.
killed_before=${killed_before:+0}

# Supervisor restarts a crashed app server for ever, so "Up" proves nothing: a third master in a row is a crash loop.
declare -A seen=()
begin=$SECONDS
while status=$(answer) && [ "$status" = 000 ]; do
  [[ $(moment) == 'true '* ]] || give_up "the container $container stopped"
  for pid in $(masters); do seen[$pid]=1; done
  [ "${#seen[@]}" -lt 3 ] || give_up "the app crash-loops: $server was started ${#seen[@]} times and never answered"
  [ $((SECONDS - begin)) -lt "$restart_timeout" ] || give_up "the app does not answer, $restart_timeout s after the restart"
  sleep 0.3
done
echo "the app answers ($status)"
for command in "${reload[@]}"; do
  docker exec -u 0 "$container" sh -c "$command" || give_up "$command failed in $container"
done
[ ${#reload[@]} = 0 ] || [ "$(answer)" != 000 ] || give_up "the app does not answer any more, after ${reload[*]}"
