# How scripts on the host reach into the containers.
# Expects: path, container, database_container and redis_container (names; empty: Compose's), service, database_service and
# redis_service (empty: there is none), also, python, record_folder; for what runs inside,
# inside_program, inside_digest and inside_loader, or in the folder of a run program.sh, which sets these.

# On an image into which a release was baked: that release, and the id of the image that it was baked into.
baked_label=hot-update.baked
base_label=hot-update.base

# compose_containers: those that Compose made, in the order of their names: name, state, service, image, project, folder. What
# `docker compose run` started is none.
compose_containers() {
  local unit='{{"\x1f"}}' label='{{.Label "com.docker.compose.'
  docker ps --all --filter label=com.docker.compose.service \
    --format "{{.Names}}$unit{{.State}}$unit${label}service\"}}$unit{{.Image}}$unit${label}project\"}}$unit${label}project.working_dir\"}}$unit${label}oneoff\"}}" \
    2>/dev/null | grep -v $'\x1fTrue$' | sort
}

# all_containers: those of every service. Who asks more than once may keep the answer.
all_containers() { compose_containers; }

# here: of compose_containers those that were made in this deployment, by their names.
here() {
  local name folder
  while IFS=$'\x1f' read -r name _ _ _ _ folder _; do
    if [ "$folder" -ef "$path" ]; then printf '%s\n' "$name"; fi
  done
}

# container_of SERVICE: the container that Compose made for a service of this deployment; of several the first by its name.
container_of() { all_containers | awk -F $'\x1f' -v service="$1" '$3 == service' | here | sed -n 1p; }

# other_containers: every other container that runs the code, by the settings: replicas of the app's that run, then those of
# the services beside it. Its name, that of its service in `also`, and what it is told.
other_containers() {
  local i name state of in project all
  all=$(all_containers)
  project=$(awk -F $'\x1f' -v name="$container" '$1 == name {print $3 FS $5}' <<<"$all")
  while IFS=$'\x1f' read -r name state of _ in _; do
    if [ "$of"$'\x1f'"$in" = "$project" ] && [ "$state" = running ] && [ "$name" != "$container" ]; then
      printf '%s\n' "$name"$'\x1f\x1f'"$inside_settings"
    fi
  done <<<"$all"
  for ((i = 0; i < ${#also[@]}; i += 4)); do
    if [ -n "${also[i + 2]}" ]; then
      printf '%s\n' "${also[i + 2]}"
    else
      awk -F $'\x1f' -v service="${also[i + 1]}" '$3 == service' <<<"$all" | here
    fi | while IFS= read -r name; do printf '%s\n' "$name"$'\x1f'"${also[i]}"$'\x1f'"${also[i + 3]}"; done
  done
}

[ -n "${container-}" ] || [ -z "${service-}" ] || container=$(container_of "$service")
[ -n "${database_container-}" ] || [ -z "${database_service-}" ] || database_container=$(container_of "$database_service")
[ -n "${redis_container-}" ] || [ -z "${redis_service-}" ] || redis_container=$(container_of "$redis_service")

# inside COMMAND SETTINGS [INPUT]: run a command of deploy/inside in the app container as root. INPUT, a function, writes
# what the command reads; without one that is stdin. Up to a line "." the command speaks to INPUT, which hears it line by
# line; the rest is its output. The program itself is sent where the container has not kept it from an earlier run.
inside() {
  [ -n "${inside_program-}" ] || . ./program.sh || return
  local said status told= watchdog
  exec {said}<> <(:)
  if take_ready; then
    told=$1$'\t'$2
    (pause "${inside_timeout:-600}"; kill -TERM "$(<"ready.$$.pid")") >/dev/null 2>&1 {ready_to}>&- {ready_from}<&- &
    watchdog=$!
    # A process in the background would read from nowhere.
    speak "${3-cat}" <&0 >&"$ready_to" {ready_to}>&- {ready_from}<&- &
    exec {ready_to}>&-
    listen <&"$ready_from"
    wait "$!" || true
    kill "$watchdog" 2>/dev/null || true
    cat "ready.$$.said" >&2
    status=("$(<"ready.$$.status")")
  else
    speak "${3-cat}" | start_inside "$1" "$2" | listen
    status=("${PIPESTATUS[@]:1}")
  fi
  exec {said}>&-
  [ "${status[0]}" = 0 ] || return "${status[0]}"
  return "${status[1]-0}"
}

# start_inside COMMAND SETTINGS [exec]: start the program there, with `exec` in place of this process, marked with the run.
# What is in a process's environment cannot be read once that has acted as another user, so the mark is a word of the
# command too.
start_inside() {
  local tag=HOT_UPDATE_RUN=${run-}
  "${@:3}" timeout -k 5 "$((${inside_timeout:-600} + ${ahead:-0}))" docker exec -i -u 0 -e "$tag" "$container" \
    "$python" -I -c "$inside_loader" "$inside_digest" "$1" "$2" "$tag"
}

# stand_ready: where this step was begun ahead of its turn, start the program that its first `inside` needs; it waits there
# to be told the command. Within $(...) what that reads does not end.
stand_ready() {
  local to from
  [ -n "${ahead-}" ] || return 0
  [ -n "${inside_program-}" ] || . ./program.sh || return
  { : >"ready.$$"; } 2>/dev/null || return 0
  exec {to}<> <(:) {from}<> <(:)
  {
    status=0
    start_inside - "$inside_settings" exec <&0 2>>"ready.$$" &
    printf '%s' "$!" >"ready.$$.pid"
    wait "$!" || status=$?
    printf '%s' "$status" >"ready.$$.status"
  } <"/dev/fd/$to" >"/dev/fd/$from" {to}>&- {from}>&- &
  exec {ready_to}>"/dev/fd/$to" {ready_from}<"/dev/fd/$from" {to}>&- {from}>&-
}

# take_ready: is there one, which nobody has taken, and which has not ended meanwhile, as with its container?
take_ready() {
  [ -n "${ready_to-}" ] && mv "ready.$$" "ready.$$.said" 2>/dev/null && [ ! -e "ready.$$.status" ]
}

# speak INPUT: what is said to the program, once it has told what it needs.
speak() {
  hear
  [ "$heard" = kept ] || printf '%s\n' "$inside_program"
  [ -z "$told" ] || printf '%s\n' "$told"
  "$1"
}

# listen: hand on to who speaks what the program says up to a line "."; the rest is its output.
listen() {
  local line
  IFS= read -r line || true
  case $line in
    kept | send) { printf '%s\n' "$line"; sed -u '/^\.$/q'; } >&"$said" ;;
    # In its place the engine tells why nothing was started.
    ?*) printf '%s\n' "$line" >&2 ;;
  esac
  echo . >&"$said"
  cat
}

# reason COMMAND OUTPUT: why a command inside failed: what it says last, without its name, or what the engine does.
reason() {
  local last=${2##*$'\n'} start="$mark%s: %s"$'\t'$1$'\t'
  case $last in
    "$start"*) printf '%b' "${last#"$start"}" ;;
    *) printf '%s' "$last" ;;
  esac
}

# hear: the next line that the command speaks; after its last one there is nothing more to write.
hear() { IFS= read -r heard <&"$said"; [ "$heard" != . ] || exit 0; }

# hear_lists NAME...: the lines that the command speaks, up to an empty one: of those that begin with a name the rest in
# work/NAME.
hear_lists() {
  local name
  sed '/^$/q; /^\.$/q1' <&"$said" >"$work/lists" || exit 0
  for name; do sed -n "s/^$name //p" "$work/lists" >"$work/$name"; done
}

# hear_base: the commit whose entries the container remembers, where the clone has it: no more than the difference is sent.
hear_base() {
  hear
  base=$heard
  [ -z "$base" ] || git_ cat-file -e "$base^{tree}" 2>/dev/null || base=
}

# control VERB: restart, stop or start the app's container, as Compose where its labels say how, and else by its name, as
# where Compose did nothing to it. What counts is what became of the container, not what was answered.
# Expects compose (array: docker compose with the options of its project; empty: it cannot be used), service.
control() {
  local before words=
  before=$(moment)
  let_go
  if [ ${#compose[@]} != 0 ]; then
    # Compose warns of unset variables on every call, so its words count only where it did nothing.
    words=$("${compose[@]}" "$1" "$service" 2>&1) || true
    ! took_effect "$1" "$before" || return 0
    said "$(say 'docker compose did not %s %s' "$1" "$container")" "$words"
    say 'docker %s %s' "$1" "$container"
  fi
  words=$(docker "$1" "$container" 2>&1) || true
  took_effect "$1" "$before" || { said "$(say '%s did not %s' "$container" "$1")" "$words" >&2; return 1; }
}

# looping: does the container end and start again and again, since the plan was made? Expects container_started, of then.
looping() {
  local again count started
  read -r again count started < <(
    docker inspect --type container --format '{{.State.Restarting}} {{.RestartCount}} {{.State.StartedAt}}' "$container" 2>/dev/null
  ) || return
  [ "$again" = true ] || { [ "$count" != 0 ] && [ "$started" != "$container_started" ]; }
}

# container_error [SINCE]: of what the container printed since then, the last line that names an exception, else the last
# that calls itself an error, else the last: one that starts again and again may have begun anew.
container_error() {
  docker logs ${1:+--since "$1"} --tail 200 "$container" 2>&1 | awk '
    NF {last = $0}
    /^[A-Za-z_][A-Za-z_.]*(Error|Exception|Exit)(:|$)/ {exception = $0}
    /(^|[^A-Za-z])(ERROR|CRITICAL|FATAL|[Ee]rror:)/ {error = $0}
    END {print exception ? exception : error ? error : last}' || true
}

# hold: have a container that loops stand still, to be worked in: its first process is stopped as soon as it is there, which
# is for control to end. To be called in the folder of a run.
hold() {
  local try
  for try in {1..10}; do
    docker restart -t 0 "$container" >/dev/null 2>&1 || true
    docker kill --signal STOP "$container" >/dev/null 2>&1 && docker exec "$container" true 2>/dev/null || continue
    : >"held-$container"
    return
  done
  say '%s ends again and again, so nothing can be done in it' "$container" >&2
  return 1
}

held() { [ -e "held-$container" ]; }
let_go() { ! held || { docker kill "$container" >/dev/null 2>&1 || true; rm -f "held-$container"; }; }

# moment: whether the container runs, since when, and its first process.
moment() {
  docker inspect --type container --format '{{.State.Running}} {{.State.StartedAt}} {{.State.Pid}}' "$container" 2>/dev/null ||
    true
}

took_effect() { # VERB MOMENT_BEFORE
  local runs began pid
  read -r runs began pid <<<"$(moment)"
  case $1 in
    stop) [ "$runs" = false ] ;;
    start) [ "$runs" = true ] ;;
    # One that has stopped again has been restarted.
    restart) [ -n "$began" ] && [[ $2 != *" $began "* ]] && [[ $2 != *" $pid" ]] ;;
  esac
}

# memory PID: what the kernel accounts of the memory of a process's control group, of version 1 or 2: its limit (empty:
# none), what is used beside the file cache, which makes room, both in MiB, and how many processes it killed in there for
# want of memory. Read on the host, where a full container does not matter. Fails where that cannot be.
memory() {
  local names group name value total folder= limit used cache=0 kills=
  while IFS=: read -r _ names group; do
    case ,$names, in
      *,memory,*) folder=${cgroups:-/sys/fs/cgroup}/memory$group; break ;;
      ,,) folder=${cgroups:-/sys/fs/cgroup}$group ;;
    esac
  done <"${processes:-/proc}/$1/cgroup" || return
  if [ -e "$folder/memory.max" ]; then
    names=(memory.max memory.current memory.events)
  else
    names=(memory.limit_in_bytes memory.usage_in_bytes memory.oom_control)
  fi
  limit=$(<"$folder/${names[0]}") && used=$(<"$folder/${names[1]}") || return
  while read -r name value; do
    case $name in inactive_file | active_file) cache=$((cache + value)) ;; oom_kill) kills=$value ;; esac
  done < <(cat "$folder/memory.stat" "$folder/${names[2]}")
  read -r _ total _ <"${processes:-/proc}/meminfo" || return
  # None is a number too, in version 1: more than the host has is none.
  if [ "$limit" = max ] || [ $((limit >> 10)) -ge "$total" ]; then limit=; fi
  printf '%s\t%s\t%s\n' "${limit:+$((limit >> 20))}" $(((used > cache ? used - cache : 0) >> 20)) "${kills:?}"
}

# tell_killed STATUS: of a step that failed, whether the kernel has killed processes in the app's container since the plan
# was made. Expects killed_before, how many it had killed then (empty: unknown). What it says ends what the step says.
tell_killed() {
  local pid killed told limit kills
  if [ "$1" = 0 ] || [ -z "${killed_before-}" ]; then return 0; fi
  read -r pid killed < <(docker inspect --type container --format '{{.State.Pid}} {{.State.OOMKilled}}' "$container" 2>/dev/null) ||
    return 0
  if [ "$pid" = 0 ]; then
    [ "$killed" != true ] || say '%s was killed for want of memory, says docker (OOMKilled)' "$container" >&2
    return 0
  fi
  told=$(memory "$pid" 2>/dev/null) || return 0
  limit=${told%%$'\t'*} kills=${told##*$'\t'}
  [ "$kills" -gt "$killed_before" ] || return 0
  limit=$(if [ -n "$limit" ]; then say '%s MiB' "$limit"; else say 'none'; fi)
  say 'the kernel killed a process in %s for want of memory (its limit: %s; oom_kill: %s)' "$container" "$limit" "$kills" >&2
}

# client_place: the container that has the database's programs, or host. Expects backup_client (empty: the database's).
client_place() {
  case $backup_client in
    '') printf '%s' "$database_container" ;;
    host) echo host ;;
    *)
      if docker inspect --type container "$backup_client" >/dev/null 2>&1; then
        printf '%s' "$backup_client"
      else
        container_of "$backup_client"
      fi
      ;;
  esac
}

# at_client PLACE COMMAND...: run it there.
at_client() {
  if [ "$1" = host ]; then "${@:2}"; else docker exec -i -e "HOT_UPDATE_RUN=${run-}" "$1" "${@:2}"; fi
}

# connect: how the app connects to its database, for who dumps it, while its container runs. Held in memory alone.
connect() { connection=$(inside connection "$inside_settings" </dev/null); }

# as_text WORDS: as a text in SQL.
as_text() { printf "'%s'" "${1//\'/\'\'}"; }

# revisions_of: of the version tables on stdin, as tell_versions tells them, what stands in the plan's, or in any where none
# was known. Expects version_table (empty: none was known).
revisions_of() {
  awk -F '\t' -v table="${version_table-}" '$1 == "db_revision" && (table == "" || $2 == table) {print $3}' | paste -sd' '
}

# as_texts WORDS...: as a list of texts in SQL.
as_texts() {
  local word list=
  for word; do list+=${list:+, }$(as_text "$word"); done
  printf '%s' "${list:-null}"
}

# fetch URL HOST INSIDE SECONDS FILE: ask a URL, with a Host header where there is one, from the app's container where INSIDE
# is set. Its status, 000 for no answer; what was answered is in the file. No proxy is asked, no certificate looked at.
fetch() {
  local status=
  if [ -z "$3" ]; then
    status=$(curl -sk --noproxy '*' -o "$5" -w '%{http_code}' --max-time "$4" ${2:+-H "Host: $2"} "$1") || true
  else
    { IFS= read -r status || true; cat >"$5"; } < <(
      timeout -k 5 "$4" docker exec "$container" "$python" -I -c "$fetch_program" "$1" "$2" "$4" 2>/dev/null
    )
  fi
  printf '%s' "${status:-000}"
}
fetch_program='
import http.client, ssl, sys, urllib.parse
url, host, seconds = urllib.parse.urlsplit(sys.argv[1]), sys.argv[2], float(sys.argv[3])
if url.scheme == "https":
    context = ssl._create_unverified_context()
    connection = http.client.HTTPSConnection(url.hostname, url.port, timeout=seconds, context=context)
else:
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=seconds)
path = (url.path or "/") + ("?" + url.query if url.query else "")
connection.request("GET", path, headers={"Host": host} if host else {})
answer = connection.getresponse()
body = answer.read()
sys.stdout.buffer.write(b"%d\n" % answer.status + body)
'

# record_sum: a fingerprint of the record of what runs; nothing where there is none. Who asks more than once may keep it.
record_sum() { sum_record; }

# sum_record: so it is whether the container runs or not: one that starts again and again does so at times.
sum_record() {
  local told
  told=$(docker exec -u 0 "$container" sha256sum "$record_folder/record.json" 2>/dev/null) ||
    told=$(set -o pipefail; { docker cp "$container:$record_folder/record.json" - | tar -xO | sha256sum; } 2>/dev/null) ||
    return 0
  printf '%s\n' "${told%% *}"
}

# container_id NAME: the engine's id of it; nothing where there is none.
container_id() { docker inspect --type container --format '{{.Id}}' "$1" 2>/dev/null || true; }
