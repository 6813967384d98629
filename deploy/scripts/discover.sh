# Tell in records what a settings file is written from: the deployment folder, its containers and what runs in them, and how
# the published ports answer. Of variables only the names, and what names a database. Changes nothing.
# Expects besides the shared variables: containers.sh, path (empty: only the folders that Compose deployed are told),
# secret_words, secret_keys, secret_min_length, record_fields, discovering (the program for the containers), discovering_told
# (what it is told), well_known (paths that are asked where the app does not tell its own).

# Ports of containers that speak something else than HTTP.
not_http=' 1433 3306 5432 5672 6379 11211 27017 33060 '

# The folders of Compose's projects, each with its services.
read_folders() {
  compose_containers | awk -F $'\x1f' '{services[$6] = services[$6] " " $3} END {for (folder in services) print folder "\t" substr(services[folder], 2)}' |
    sort | while IFS=$'\t' read -r folder services; do record folder "$folder" "$services"; done
}

read_repository() {
  local top name
  [ -d "$path" ] || { record problem repository "$(say 'no such folder: %s' "$path")"; return; }
  top=$(git_ rev-parse --show-toplevel 2>&1) || { record problem repository "$(git_words <<<"$top")"; return; }
  local branch remote
  branch=$(git_ symbolic-ref -q --short HEAD)
  remote=$(git_ config "branch.$branch.remote" || git_ remote | sed -n 1p)
  record repository "$([ "$top" -ef "$path" ] || printf '%s' "$top")" "$branch" "$remote" \
    "$(git_ config "branch.$branch.merge" | sed 's#^refs/heads/##')"
  git_ ls-files -- >"$beside/tracked"
  sed 's/^/tracked\t/' "$beside/tracked"
  # What brings a database to the schema of the code, be it the container's first command.
  git_ grep -lE '(flask|alembic|manage\.py|-m [a-z_]+).* upgrade' -- ':!*.py' ':!*.md' ':!*.rst' ':!*.txt' |
    while IFS= read -r name; do record upgrading "$name"; done
}

# other_env: the only file in the folder that is called as an env file and not tracked.
other_env() {
  local found
  mapfile -t found < <(git_ ls-files --others -- '*.env' '.env.*' '**/.env.*' | head -n 2)
  [ ${#found[@]} != 1 ] || printf '%s' "${found[0]}"
}

# Which keys of the env file have a value.
read_env() {
  local key
  [ -n "$env_file" ] || { record env '' none; return; }
  [ -r "$env_file" ] || { record env "${env_file#"$path/"}" ''; return; }
  record env "${env_file#"$path/"}" there
  sed -nE "s/^[[:space:]]*(export[[:space:]]+)?([A-Za-z_][A-Za-z0-9_]*)[[:space:]]*=[[:space:]]*([\"'][[:space:]]*[^\"'[:space:]]|[^\"'#[:space:]]).*/\2/p" "$env_file" |
    while read -r key; do record env_key "$key"; done
}

# deployed: the containers that Compose made in this folder or below it.
deployed() {
  local name folder real
  real=$(readlink -f "$path")
  compose_containers | while IFS=$'\x1f' read -r name _ _ _ _ folder _; do
    [[ $(readlink -f "$folder")/ != "$real"/* ]] || printf '%s\n' "$name"
  done
}

read_containers() {
  local name state image identity service folder files command ports mounts environment check
  # As in read.sh: a name that only the engine's own JSON has would make what is left out an error.
  local field format= unit='{{"\x1f"}}'
  for field in .Name .State.Status .Config.Image .Image; do format+="{{$field}}$unit"; done
  for field in service project.working_dir project.config_files; do format+="{{index .Config.Labels \"com.docker.compose.$field\"}}$unit"; done
  format+='{{range .Config.Entrypoint}}{{.}}{{"\x1e"}}{{end}}{{range .Config.Cmd}}{{.}}{{"\x1e"}}{{end}}'$unit
  format+='{{range $inner, $outer := .HostConfig.PortBindings}}{{range $outer}}{{$inner}} {{with .HostIP}}{{.}}{{else}}0.0.0.0{{end}} {{.HostPort}}{{"\x1e"}}{{end}}{{end}}'$unit
  format+='{{range .Mounts}}{{.Destination}}{{"\x1e"}}{{.Source}}{{"\x1e"}}{{end}}'$unit
  format+='{{range .Config.Env}}{{.}}{{"\x1e"}}{{end}}'$unit
  format+='{{with .Config.Healthcheck}}{{range .Test}}{{.}} {{end}}{{end}}'
  # Values may have lines of their own, so each container ends with a sign.
  docker inspect --type container --format "$format"'{{"\x1d"}}' "${names[@]}" >"$beside/inspected" 2>"$beside/why" ||
    record problem engine "$(tail -n 1 "$beside/why")"
  while IFS=$'\x1f' read -r -d $'\x1d' name state image identity service folder files command ports mounts environment check; do
    as_lines "$ports" >>"$beside/ports"
    # What Docker itself asks is a health check for certain.
    grep -oE "https?://[^/\"' ]+/[^\"' );|&]*" <<<"$check" | sed -E 's#https?://[^/]+##' >>"$beside/rules"
    record container "${name##*/}" "$service" "$state" "$image" "$identity" "$(below "$folder")" \
      "$(below_each "$files" "$folder")" "$(as_lines "$command")" "$(as_lines "$ports")" "$(sources "$mounts")" "$(names_of "$environment")"
  done <"$beside/inspected"
}

# below FILE: as it is called from the deployment folder on; nothing for that itself.
below() {
  local real
  real=$(readlink -f "$1")
  [ "$real" -ef "$path" ] || printf '%s' "${real#"$(readlink -f "$path")/"}"
}

below_each() { # FILES FOLDER
  local file files
  IFS=, read -ra files <<<"$1"
  for file in ${files[@]+"${files[@]}"}; do
    [[ $file == /* ]] || file=$2/$file
    printf '%s\n' "$(below "$file")"
  done
}

# sources MOUNTS: of each its place and its source, lines by themselves.
sources() {
  local place source
  while IFS= read -r -d $'\x1e' place && IFS= read -r -d $'\x1e' source; do
    printf '%s\n' "$place" "$(below "$source")"
  done <<<"$1"
}

as_lines() { printf '%s' "${1//$'\x1e'/$'\n'}"; }

# names_of VARIABLES: their names, and the values of those that name a database.
names_of() {
  tr '\036' '\n' <<<"$1" | awk '
    match($0, /^[A-Za-z_][A-Za-z0-9_]*=/) {
      name = substr($0, 1, RLENGTH - 1)
      print name ~ /^(POSTGRES|MYSQL|MARIADB)_(USER|DB|DATABASE)$/ ? $0 : name
    }'
}

# read_inside NAME ASK: what runs in a container, where that has a Python; `ask` the app too.
read_inside() {
  local answer entry
  answer=$(
    { printf '%s\0%s\0' "$discovering_told" "$2"; git_ ls-files -z; } |
      timeout -k 5 150 docker exec -i -u 0 "$1" sh -c "$with_python" sh "$discovering" 2>/dev/null
  ) || return 0
  sed -n 's/^rule //p' <<<"$answer" >>"$beside/rules"
  sed -n 's/^unknown //p' <<<"$answer" | git_ check-ignore --stdin | while IFS= read -r entry; do record ignored "$1" "$entry"; done
  record inside "$1" "$(sed -n 's/^facts //p' <<<"$answer")"
}
# The Python that programs there run with, or the usual one.
with_python='for python in $(cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\0" "\n" | grep -E "^/.*/(python|pypy)[0-9.]*$" | sort -u) python3 python; do
    ! command -v "$python" >/dev/null || exec "$python" -I -c "$1"
  done
  exit 1'

read_insides() {
  local name service state asked=' ' ask
  while IFS=$'\t' read -r _ name service state _; do
    [ "$state" = running ] || continue
    ask=
    [[ $asked == *" $service "* ]] || ask=ask asked+="$service "
    read_inside "$name" "$ask" >"$beside/inside-$name" &
  done <"$beside/told"
  wait
  cat "$beside"/inside-* 2>/dev/null
}

# Each published port: is it HTTP, and how does it answer at the paths that look like health checks?
read_health() {
  local ip port inner where path status paths
  mapfile -t paths < <(sort -u "$beside/rules")
  [ ${#paths[@]} != 0 ] || paths=("${well_known[@]}")
  sort -u "$beside/ports" | while read -r inner ip port; do
    inner=${inner%/tcp}
    # One that Docker chooses is another after a restart.
    [[ ${port:-0} != 0 && $inner != */* && $not_http != *" $inner "* ]] || continue
    case $ip in '' | 0.0.0.0 | 127.* | :: | ::1) where=localhost ;; *:*) where="[$ip]" ;; *) where=$ip ;; esac
    # Whoever expects TLS says 400 to what is none, or nothing.
    case $(curl_ "http://$where:$port/") in
      000 | 400) where=https://$where:$port where=${where%:443} ;;
      *) where=http://$where:$port where=${where%:80} ;;
    esac
    [ "$(curl_ "$where/")" != 000 ] || continue
    for path in "${paths[@]}"; do
      status=$(curl_ "$where$path")
      case $status in 2*) ;; *) : >"$beside/body" ;; esac
      record answer "$where" "$path" "$status" "$(sed -nE 's/^[Ss]erver:[[:space:]]*([A-Za-z]+).*/\1/p' "$beside/head" | tail -n 1)" \
        "$(head -c 4000 "$beside/body" | tr -d '\0')"
    done
  done | sort -u
}

# curl_ URL: the status of the answer, 000 without one; a certificate for another name does not matter.
curl_() {
  : >"$beside/head" >"$beside/body"
  curl -ks --noproxy '*' -D "$beside/head" -o "$beside/body" -w '%{http_code}' --max-time 5 "$1"
}

# read_neighbours: by which names the containers here reach others, in the networks that they share, and what these are called.
read_neighbours() {
  local networks one name network names
  networks=$(docker inspect --type container --format '{{range $name, $one := .NetworkSettings.Networks}}{{$name}}{{"\n"}}{{end}}' "$@" | sort -u | grep -vx 'bridge\|host\|none')
  [ -n "$networks" ] || return 0
  docker ps --quiet | xargs -r docker inspect --type container \
    --format '{{$name := .Name}}{{range $network, $one := .NetworkSettings.Networks}}{{$network}} {{$name}}{{range $one.Aliases}} {{.}}{{end}}{{"\n"}}{{end}}' |
    while read -r network name names; do
      name=${name#/}
      if [[ " $* " == *" $name "* ]] || ! grep -qxF -- "$network" <<<"$networks"; then continue; fi
      for one in "$name" $names; do record neighbour "$one" "$name"; done
    done
}

# The programs on the host that dump a database.
read_dumpers() {
  local name
  for name in pg_dump mariadb-dump mysqldump; do ! command -v "$name" >/dev/null || record dumper "$name"; done
}

read_deployment() {
  local engine names
  mapfile -t names < <(deployed)
  read_repository
  read_env
  [ ${#names[@]} != 0 ] || return 0
  read_containers >"$beside/told"
  cat "$beside/told"
  read_neighbours "${names[@]}"
  read_dumpers
  read_insides
  read_health
}

beside=$(owned_folder)
trap 'rm -rf "$beside"' EXIT
: >"$beside/rules" >"$beside/ports"
env_file=
if [ -n "$path" ] && [ -d "$path" ]; then
  for name in "$env_name" "$(other_env)"; do
    if [ -z "$env_file" ] && [ -n "$name" ] && [ -e "$path/$name" ]; then env_file=$path/$name; fi
  done
fi
# Without a file the secrets are what the containers were given, and without a folder none are told of.
environments() { [ -z "$path" ] || environments_of $(deployed); }
{
  if ! engine=$(docker version --format '{{.Server.Version}}' 2>&1); then
    record problem engine "$(grep -v '^$' <<<"$engine" | tail -n 1)"
  elif [ -z "$path" ]; then
    read_folders
  else
    read_deployment
  fi
  record end
} 2>/dev/null | redact_records
