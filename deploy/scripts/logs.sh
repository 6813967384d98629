# Tells what the logs have, and with follow what is added to them, in records as they come; changes nothing. Expects
# besides redact.sh and containers.sh: wanted_service (empty: what runs the code), want_output (of containers),
# readers (array: of the app, named nothing, and of each in also: its name, its Python, what inside/logs.py is asked, in JSON
# without the braces, and its files, a line each), logs_program, tail, since and until (seconds since the epoch, empty: no
# matter when), ago (seconds before now, in the place of since), run (empty: none), follow, want_journal (the run's),
# told_until (array: containers, and up to when their output has been told), record_fields.
# Its own records, beside those of inside/logs.py: reader NAME · run SINCE UNTIL (also where no run is asked for) · no-run ·
# services NAME... (none is that service) · unread SOURCE WHY · stopped CONTAINER (its lines have in place of a moment, as
# their position, the zone of their times) · beat.
set -uo pipefail

runs() { [ "$(docker inspect --type container --format '{{.State.Running}}' "$1" 2>/dev/null)" = true ]; }

# candidates: every container that has logs: its name, its service, and who reads its files: nothing for the app's, also of
# replicas that do not run, - for nobody, else a name in also.
candidates() {
  local all name of
  all=$(all_containers)
  {
    printf '%s\x1f\x1f\n' "$container"
    other_containers | while IFS=$'\x1f' read -r name of _; do printf '%s\x1f%s\x1f%s\n' "$name" "$of" "$of"; done
    printf '%s\x1f%s\x1f-\n' "${database_container-}" "${database_service-}" "${redis_container-}" "${redis_service-}"
    here <<<"$all" | while read -r name; do printf '%s\x1f\x1f-\n' "$name"; done
  } | awk -F $'\x1f' -v OFS=$'\x1f' -v app="$service" -v first="$container" '
    NR == FNR {service[$1] = $3; next}
    $3 == "-" && first in service && $1 in service && service[$1] == service[first] {$3 = ""}
    $1 != "" && !seen[$1]++ {print $1, ($1 in service ? service[$1] : $2 != "" ? $2 : app), $2, $3}' <(printf '%s\n' "$all") -
}

# choose: those of the service, by its name of Compose, in the settings, or its container's; else all that run the code.
choose() {
  local name of alias reader all=()
  while IFS=$'\x1f' read -r name of alias reader; do
    all+=("$of")
    if [ -z "$wanted_service" ]; then
      [ "$reader" != - ] || continue
    else
      case $wanted_service in "$of" | "$alias" | "$name") ;; *) continue ;; esac
    fi
    chosen+=("$name" "$reader")
  done < <(candidates)
  [ ${#chosen[@]} = 0 ] || return 0
  mapfile -t all < <(printf '%s\n' "${all[@]}" | sort -u)
  record services "${all[@]}"
  return 1
}

# span: from when to when the run went; of one that goes on, until now.
span() {
  local state
  state=$(state_folder) && is_run "$run" || return
  IFS=$'\t' read -r since until < <(
    awk -F '\t' -v run="$run" '$2 == run {print $7 "\t" $1 + 1}' "$state/history" 2>/dev/null | tail -n 1
  ) || since=$(head -n 1 "$state/runs/$run/journal" 2>/dev/null | cut -f 1)
  journal=$state/runs/$run/journal
  [[ $since =~ ^[0-9]+(\.[0-9]+)?$ ]]
}

# output_records CONTAINER: of what docker logs prints on stdin, with its times. Of a line a little more is kept than is told,
# so that what takes out secrets sees that it was cut off.
output_records() {
  local longest_text=$((longest_text + 64))
  bounded | sed -u "
    s/\\x00//g; s/\\r\$//; s/\\\\/\\\\\\\\/g; s/\\t/\\\\t/g; s/\\r/\\\\r/g
    s/^\\([0-9]\\{4\\}-[0-9T:.-]*Z\\) \\{0,1\\}/line\\t$1:\\t\\t\\1\\t/
    t
    s/^/unread\\t$1:\\t/"
}

# after MOMENT: the nanosecond after it, as docker logs prints moments.
after() {
  if [[ $1 =~ ^(.*\.)([0-9]{9})Z$ ]] && [ "${BASH_REMATCH[2]}" != 999999999 ]; then
    printf '%s%09dZ' "${BASH_REMATCH[1]}" $((10#${BASH_REMATCH[2]} + 1))
  else
    printf '%s' "$1"
  fi
}

# read_output CONTAINER: what it printed up to now, then what it prints. The last is told with a bound, without which the
# engine would read its whole log for it.
read_output() {
  local now i begin=
  now=$(date +%s.%N)
  for ((i = 0; i < ${#told_until[@]}; i += 2)); do [ "${told_until[i]}" != "$1" ] || begin=$(after "${told_until[i + 1]}"); done
  if [ -z "$begin" ]; then
    record found "$1:" '' "$now"
    # What has this time may be on its way into the log.
    pause 0.2
    if [ -n "$until" ]; then
      docker logs --timestamps --since "$since" --until "$until" "$1" 2>&1 </dev/null | tail -n "$tail"
    else
      docker logs --timestamps --tail "$tail" ${since:+--since "$since"} --until "$now" "$1" 2>&1 </dev/null
    fi | output_records "$1"
    begin=$now
  fi
  record read "$1:"
  [ -n "$follow" ] || return 0
  if runs "$1"; then
    docker logs --timestamps --follow --tail 10000 --since "$begin" "$1" 2>&1 </dev/null | output_records "$1"
  else
    await "$1"
  fi
}

# await CONTAINER: until it runs; whoever follows then begins again.
await() { until runs "$1"; do pause 1; done; }

# read_files CONTAINER READER: the files in it, by a program that ends with its stdin, which ends with us.
read_files() {
  local i words=
  for ((i = 0; i < ${#readers[@]}; i += 4)); do
    [ "${readers[i]}" = "$2" ] || continue
    if [ -z "$follow" ] && ! executes "$1"; then read_stopped "$1" "${readers[i + 3]}"; continue; fi
    words=$(
      docker exec -i -u 0 "$1" "${readers[i + 1]}" -I -c "$logs_program" \
        "{\"container\": \"$1\", \"since\": ${since:-null}, \"until\": ${until:-null}, ${readers[i + 2]}}" \
        2>&1 >&"$told" < <(tail --pid="$reading" -s 0.5 -f /dev/null)
    ) || runs "$1" || words=$(say 'it does not run')
  done
  [ -z "$words" ] || record unread "$1:files" "${words##*$'\n'}"
  record read "$1:files"
  [ -z "$follow" ] || await "$1"
}

# executes CONTAINER: can a program be started in it?
executes() { [ "$(docker inspect --type container --format '{{and .State.Running (not .State.Restarting)}}' "$1" 2>/dev/null)" = true ]; }

# read_stopped CONTAINER FILES: the last lines of the files as it left them.
read_stopped() {
  local file zone beginning longest_text=$((longest_text + 64))
  record stopped "$1"
  zone=$(zone_of "$1")
  while IFS= read -r file; do
    record found "$1:$file" '' ''
    beginning=$(record line "$1:$file" '' "$zone" .)
    { left_in "$1" "$file.1"; left_in "$1" "$file" || record absent "$1:$file" >&"$told"; } |
      tail -n "$tail" | tr -d '\0' | bounded | sed 's/\r$//; s/\\/\\\\/g; s/\t/\\t/g; s/\r/\\r/g' |
      beginning=${beginning%.} awk '{print ENVIRON["beginning"] $0}'
  done <<<"$2"
}

# left_in CONTAINER FILE: what it holds, also where the container does not run.
left_in() { docker cp -L "$1:$2" - 2>/dev/null | tar -xO 2>/dev/null; }

# zone_of CONTAINER: that of times which name none: of its TZ, else of its /etc/localtime, else UTC.
zone_of() {
  local zone file
  zone=$(docker inspect --type container --format '{{range .Config.Env}}{{println .}}{{end}}' "$1" | sed -n 's/^TZ=//p' | tail -n 1)
  if [ -z "$zone" ] && file=$(mktemp); then
    left_in "$1" /etc/localtime >"$file"
    TZ=:$file date +%z
    rm -f "$file"
  else
    TZ=$zone date +%z
  fi
}

read_journal() {
  sed "s/\\\\/\\\\\\\\/g; s/\\t/\\\\t/g; s/^\\([0-9.]*\\)\\\\t/line\\trun\\t\\1\\t\\t/; t; d" "$journal" 2>/dev/null
  record read run
}

# going: do all still read? Without follow: does any?
going() {
  local pid
  for pid in "${reading_too[@]}"; do
    if kill -0 "$pid" 2>/dev/null; then [ -n "$follow" ] || return 0; else [ -z "$follow" ] || return; fi
  done
  [ -n "$follow" ]
}

read_logs() {
  local i reading=$BASHPID journal='' chosen=() reading_too=() names=()
  exec {told}>&1
  [ -z "$ago" ] || since=$(($(date +%s) - ago))
  [ -z "$run" ] || span || { record no-run; return; }
  [ -z "$since" ] || record run "$since" "$until"
  choose || return
  # Each with all that it starts in a group of its own, which is ended once we are, however that comes about: without a
  # reader our next beat is our last.
  set -m
  for ((i = 0; i < ${#chosen[@]}; i += 2)); do
    if [ -n "$want_output" ]; then record reader "${chosen[i]}:"; fi
    if [ "${chosen[i + 1]}" != - ] && [ ${#readers[@]} != 0 ]; then record reader "${chosen[i]}:files"; fi
  done
  if [ -n "$want_journal" ]; then record reader run; read_journal; fi
  for ((i = 0; i < ${#chosen[@]}; i += 2)); do
    if [ -n "$want_output" ]; then read_output "${chosen[i]}" & reading_too+=("$!"); fi
    if [ "${chosen[i + 1]}" != - ] && [ ${#readers[@]} != 0 ]; then
      read_files "${chosen[i]}" "${chosen[i + 1]}" & reading_too+=("$!")
    fi
  done
  (tail --pid="$reading" -s 0.5 -f /dev/null; kill -- "${reading_too[@]/#/-}") >/dev/null 2>&1 </dev/null &
  while going; do
    record beat || break
    pause 0.25
  done
}

# shellcheck disable=SC2046 # words
read_logs 2>/dev/null </dev/null | redact_records $(promptly)
