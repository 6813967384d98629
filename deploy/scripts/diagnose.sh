# Tells in records what a diagnosis needs beside the state; changes nothing. Expects besides redact.sh and containers.sh: doors
# (array: name, URL, Host and whether it is asked inside, of each way in that the health checks know), folders (array: of what
# is served as files, its folder in the container and the path that it is served at), journals (how many of the last runs to
# tell whole), record_fields. No file is written here, since the disk may be full.
set -uo pipefail

# Of a folder so many files are asked for, and of a page so many that it refers to.
most_files=40
# Seconds that a question to the engine, or in a container, may take.
longest=20

within() { timeout -k 5 "$longest" docker exec -i -u 0 "$@" </dev/null; }

# side_by_side FUNCTION WORD...: start it; what it says is told in the order in which all were started.
parts=()
side_by_side() {
  local part
  exec {part}< <("$@" 2>/dev/null </dev/null)
  parts+=("$part")
}

tell_parts() {
  local part
  for part in ${parts[@]+"${parts[@]}"}; do cat <&"$part"; done
}

# tell_lines COUNT FIELD...: the last lines of stdin, each in a record of its own.
tell_lines() {
  local line
  grep -a . | tail -n "$1" | bounded | while IFS= read -r line; do record "${@:2}" "$line"; done
}

# tell_places WHERE COMMAND...: the file systems on the host, or in a container, that the command, df with the folders after
# it, tells of: first of their bytes, then of their inodes.
tell_places() {
  local place kib free inodes left
  paste <("${@:2}" -Pk "${folders_looked_at[@]}") <("${@:2}" -Pi "${folders_looked_at[@]}") | awk 'NR > 1 {print $6, $2, $4, $8, $10}' |
    while read -r place kib free inodes left; do
      [[ $kib$free =~ ^[0-9]+$ ]] || continue
      # Some file systems have no number of inodes.
      [[ $inodes =~ ^[1-9][0-9]*$ ]] && [[ $left =~ ^[0-9]+$ ]] || left=
      record place "$1" "$place" "$kib" "$free" "$left"
    done | sort -u
}

read_places() {
  local root folders_looked_at=("$path" /tmp)
  root=$(timeout "$longest" docker info --format '{{.DockerRootDir}}') || root=
  [ ! -d "$root" ] || folders_looked_at+=("$root")
  root=$(backup_folder) && [ -d "$root" ] && folders_looked_at+=("$root")
  tell_places '' df
}

# Why Compose is not there, or does not take its files.
read_compose() {
  local told
  if ! told=$(timeout "$longest" docker compose version --short 2>&1); then
    tell_lines 1 compose_problem <<<"$told"
    told=$(timeout "$longest" docker-compose version --short) && record legacy "$told"
  elif [ -f "$path/$compose_file" ]; then
    told=$(cd "$path" && timeout "$longest" docker compose -f "$compose_file" config -q 2>&1) || tell_lines 1 config_problem <<<"$told"
  fi
}

# inspected NAME...: what the engine says of these containers, fields parted by a unit separator.
inspected() {
  local field format= unit='{{"\x1f"}}'
  for field in Status ExitCode OOMKilled StartedAt FinishedAt Pid Error; do format+="{{.State.$field}}$unit"; done
  timeout "$longest" docker inspect --type container --format \
    "{{.Name}}$unit{{.RestartCount}}$unit{{with .State.Health}}{{.Status}}{{end}}$unit{{with .Config.Labels}}{{with index . \"com.docker.compose.service\"}}{{.}}{{end}}{{end}}$unit$format" "$@"
}

# tell_container SAID: what inspected said of one; of one that does not run as it should, its last words.
tell_container() {
  local name restarts health of status code killed started finished pid error container told
  IFS=$'\x1f' read -r name restarts health of status code killed started finished pid error _ <<<"$1"
  container=${name#/}
  record container "$container" "$of" "$status" "$code" "${killed#false}" "$restarts" "$health" "$started" "$finished" "$error"
  if [ "$status" = running ] && told=$(memory "$pid"); then printf 'memory\t%s\t%s\n' "$container" "$told"; fi
  if [ "$status" = running ] && [ "$health" != unhealthy ] && [ "$restarts" = 0 ]; then return 0; fi
  container_error | tell_lines 1 words "$container"
  timeout "$longest" docker logs --tail 20 "$container" 2>&1 | tell_lines 20 printed "$container"
}

# read_inside NAME: what goes on in a container that runs: its disks, Supervisor's programs, processes, Nginx's settings.
read_inside() {
  local name=$1 line state status answer folders_looked_at=(/)
  ! within "$name" test -d "$app_path" || folders_looked_at=("$app_path" /var/log /tmp)
  tell_places "$name" within "$name" df
  # It may have been started with settings that it does not find by itself.
  line='command -v supervisorctl >/dev/null || exit 127
    file=$(tr "\0" "\n" </proc/1/cmdline | grep -A1 -xE -e "-c|--configuration" | sed -n 2p)
    supervisorctl ${file:+-c "$file"} status'
  within "$name" sh -c "$line" 2>&1 | while read -r line state status; do
    case $state in
      STOPPED | STARTING | RUNNING | BACKOFF | STOPPING | EXITED | FATAL | UNKNOWN) record program "$name" "$line" "$state" "$status" ;;
      *) record supervisor_problem "$name" "$line $state $status" ;;
    esac
  done
  timeout "$longest" docker top "$name" -eo pid,etimes,rss,args | sed 1d | head -n 60 |
    while read -r line state status answer; do record process "$name" "$line" "$state" "$status" "$answer"; done
  line=$(within "$name" sh -c 'command -v nginx >/dev/null || exit 127; exec nginx -t 2>&1')
  status=$?
  [ "$status" = 127 ] || { record nginx "$name" "$status"; tell_lines 5 nginx_line "$name" <<<"$line"; }
}

# read_stopped NAME: the last lines of the logs in a container that does not run, in which nothing can be run.
read_stopped() {
  local file
  for file in ${logs[@]+"${logs[@]}"}; do
    { timeout 5 docker cp -L "$1:$file" - | tar -xO; } 2>/dev/null | tail -n 40 | tell_lines 40 log "$1" "$file"
  done
}

# list_files: what is served as files, by the app's container: the folder, the path in a URL, its sum, and for how long it has been
# there. A page comes first, then what changed last.
list_files='
most=$1 now=$(date +%s)
shift
while [ $# != 0 ]; do
  cd "$1" 2>/dev/null && {
    [ ! -f index.html ] || echo ./index.html
    find . -type f -size -16384k | grep -E "^[A-Za-z0-9._/@+~-]+$" | grep -v "/[.]" | tr "\n" "\0" | xargs -0 -r ls -td --
  } | awk "!seen[\$0]++" | head -n "$most" | while read -r name; do
    sum=$(sha256sum <"$name") && printf "%s\t%s\t%s\t%s\n" "$1" "$2${name#.}" "${sum%% *}" "$((now - $(stat -c %Y "$name")))"
  done
  shift 2
done'

# static_folders: those in which Flask keeps its files, each with the path that they are served at.
static_folders() {
  local folder kept
  within "$container" find "$app_path" -maxdepth 3 -type d -name static | while IFS= read -r folder; do
    for kept in ${protected[@]+"${protected[@]}"}; do [[ $folder/ != "$app_path/$kept"/* ]] || continue 2; done
    printf '%s\n' "$folder" /static
  done
}

read_served() {
  local i folder page sum age static=() files=() parts=()
  mapfile -t static < <(static_folders)
  while IFS=$'\t' read -r folder page sum age; do
    record file "$folder" "${page%index.html}" "$sum" "$age"
    files+=("${page%index.html}")
  done < <(within "$container" sh -c "$list_files" sh "$most_files" ${folders[@]+"${folders[@]}"} ${static[@]+"${static[@]}"})
  [ ${#files[@]} != 0 ] || return 0
  for ((i = 0; i < ${#doors[@]}; i += 4)); do side_by_side ask_door "${doors[@]:i:4}"; done
  tell_parts
}

# ask_door NAME URL HOST INSIDE: what is sent there for each file, and for what a page refers to besides.
ask_door() {
  local page status other
  for page in "${files[@]}"; do
    ask "$@" "$page" || return 0
    [ "$page" = / ] || continue
    content "${@:2}" / | grep -aoE "(src|href)=[\"']/[A-Za-z0-9._/@+~-]+[.](js|mjs|css)[\"']" | grep -oE "/[^\"']+" | sort -u |
      head -n "$most_files" | while IFS= read -r other; do
      record refers "$1" / "$other"
      [[ " ${files[*]} " == *" $other "* ]] || ask "$@" "$other"
    done
  done
}

# ask NAME URL HOST INSIDE PATH: the status, the sum of the content and what the headers say of keeping it; fails without an
# answer.
ask() {
  local answer
  if [ -z "$4" ]; then
    answer=$({ curl -sk --noproxy '*' --max-time "$probe_timeout" ${3:+-H "Host: $3"} -D /dev/fd/3 "$2$5" | sha256sum; } 3>&1)
  else
    answer=$(timeout -k 5 "$probe_timeout" docker exec "$container" "$python" -I -c "$ask_program" sum "$2$5" "$3" "$probe_timeout")
  fi
  awk -v OFS='\t' -v name="$1" -v path="$5" '
    {sub(/\r$/, "")}
    /^HTTP\// {status = $2; next}
    match($0, /^[A-Za-z-]+:/) {value = substr($0, RLENGTH + 1); gsub(/^[ \t]+|[\t\\]/, "", value); header[tolower(substr($0, 1, RLENGTH - 1))] = value; next}
    /^[0-9a-f]+/ {sum = $1}
    END {
      print "sent", name, path, status + 0, sum, header["content-type"], header["cache-control"], header["expires"], header["date"], header["age"]
      exit !status
    }' <<<"$answer"
}

# content URL HOST INSIDE PATH
content() {
  if [ -z "$3" ]; then
    curl -sk --noproxy '*' --max-time "$probe_timeout" ${2:+-H "Host: $2"} "$1$4"
  else
    timeout -k 5 "$probe_timeout" docker exec "$container" "$python" -I -c "$ask_program" content "$1$4" "$2" "$probe_timeout"
  fi
}

ask_program='
import hashlib, http.client, ssl, sys, urllib.parse
what, told, host, seconds = sys.argv[1:]
url = urllib.parse.urlsplit(told)
more = {"context": ssl._create_unverified_context()} if url.scheme == "https" else {}
kind = http.client.HTTPSConnection if more else http.client.HTTPConnection
connection = kind(url.hostname, url.port, timeout=float(seconds), **more)
connection.request("GET", url.path or "/", headers={"Host": host} if host else {})
answer = connection.getresponse()
body = answer.read()
if what == "content":
    sys.stdout.buffer.write(body)
else:
    print("HTTP/1.1", answer.status)
    for header in answer.getheaders():
        print("%s: %s" % header)
    print(hashlib.sha256(body).hexdigest())
'

# The runs that ended last, the newest first, and what each told.
read_journals() {
  local folder name
  folder=$(state_folder) || return 0
  for name in $(cut -f 2 "$folder/history" | tail -n "$journals" | tac); do
    is_run "$name" && [ -r "$folder/runs/$name/journal" ] || continue
    tail -n 400 "$folder/runs/$name/journal" | tell_lines 400 journal "$name"
  done
}

read_all() {
  local name line all=() up=()
  if command -v docker >/dev/null; then
    side_by_side read_compose
    mapfile -t all < <({
      printf '%s\n' "$container" "$database_container" "$redis_container"
      all_containers | here
      other_containers | cut -d $'\x1f' -f 1
    } | grep . | awk '!seen[$0]++')
    while IFS= read -r line; do
      # Of what it does not know the engine tells an empty line.
      [ -n "$line" ] || continue
      side_by_side tell_container "$line"
      name=${line%%$'\x1f'*} name=${name#/}
      if [[ $line == *$'\x1f'running$'\x1f'* ]]; then up+=("$name"); side_by_side read_inside "$name"; fi
    done < <(inspected ${all[@]+"${all[@]}"})
    for name in "$container" $(other_containers | cut -d $'\x1f' -f 1); do
      [[ " ${up[*]-} " == *" $name "* ]] || side_by_side read_stopped "$name"
    done
    [[ " ${up[*]-} " != *" $container "* ]] || side_by_side read_served
  fi
  side_by_side read_places
  [ "$journals" = 0 ] || side_by_side read_journals
  tell_parts
  record end
}

read_all 2>/dev/null </dev/null | redact_records
