# Tell the host's whole state in records. Changes nothing but the remote-tracking branch, when the remote is asked.
# Expects besides the shared variables: target_is (remote: the branch's head, after a fetch; head: the clone's HEAD;
# running: nothing, only what runs is looked at; else a commit's name), want_logs, and record_fields: of each kind of
# record what its fields are called; those with a * are text, which only passes without secrets.

# problem COMMAND...: run it quietly; its last error line is the answer, nothing when it succeeded.
problem() {
  local output
  output=$("$@" 2>&1 >/dev/null) && return
  output=$(printf '%s' "$output" | grep -v '^$' | tail -n 1)
  printf '%s' "${output:-failed}"
}

read_host() {
  local name
  record host "$(id -un)" "$(uname -n)" "$(cat /proc/sys/kernel/random/boot_id)"
  record clock "$(run_time "$(state_folder)")"
  for name in git curl docker awk tar flock setsid timeout; do
    record tool "$name" "$(command -v "$name")"
  done
  if command -v docker >/dev/null; then
    read_engine
    record compose "$(docker compose version --short 2>/dev/null)"
  fi
  [ ! -d "$path" ] || record disk "$(($(df -Pk "$path" | awk 'NR == 2 {print $4}') / 1024))"
  [ ! -f "$path/$compose_file" ] || record compose_file "$compose_file"
}

read_engine() {
  local answer
  if answer=$(docker version --format '{{.Server.Version}}' 2>&1); then
    record engine "$answer" ''
  else
    record engine '' "$(grep -v '^$' <<<"$answer" | tail -n 1)"
  fi
}

read_env() {
  local key
  [ -e "$env_file" ] || { record env missing; return; }
  [ -r "$env_file" ] || { record env unreadable; return; }
  record env there
  for key in "${required[@]}"; do
    grep -qE "^[[:space:]]*(export[[:space:]]+)?$key[[:space:]]*=[[:space:]]*([\"'][[:space:]]*[^\"'[:space:]]|[^\"'#[:space:]])" "$env_file" ||
      record env_empty "$key"
  done
}

read_repository() {
  local answer line fault=other fetch_problem=
  head='' target=''
  [ -d "$path" ] || { record repository "$fault" 'no such folder'; return; }
  if ! answer=$(git_ rev-parse --show-toplevel 2>&1); then
    [[ $answer != *'dubious ownership'* ]] || fault=foreign
    record repository "$fault" "$(printf '%s' "$answer" | head -n 1)"
    return
  fi
  [ "$answer" -ef "$path" ] || { record repository "$fault" "it lies inside the repository $answer"; return; }
  record repository '' '' "$(git_ rev-parse --absolute-git-dir)" "$(stat -c %U "$path")"
  head=$(git_ rev-parse -q --verify HEAD)
  case $target_is in
    remote)
      ask_remote
      # Another fetch moved the ref at the same moment.
      [[ $fetch_problem != *'cannot lock ref'* ]] || ask_remote
      record fetched "$(fetch_fault)" "$fetch_problem"
      target=$(git_ rev-parse -q --verify "refs/remotes/$remote/$branch^{commit}")
      ;;
    head) target=$head ;;
    running) ;;
    *) target=$(git_ rev-parse -q --verify "$target_is^{commit}") ;;
  esac
  tell_target
  git_ remote -v | awk '$3 == "(fetch)" {print $1 "\t" $2}' | sed -E 's#://[^/@]*@#://***@#' | sort -u |
    while IFS=$'\t' read -r name url; do record remote "$name" "$url"; done
  read_branches
  record head "$head" "$(git_ symbolic-ref -q --short HEAD)" "$target"
  [ ! -e "$(git_ rev-parse --absolute-git-dir)/index.lock" ] || record index_lock "$(git_ rev-parse --absolute-git-dir)/index.lock"
  [ -n "$target" ] || return 0
  git_ log --format='%h %s' -n 1000 "HEAD..$target" 2>/dev/null | while read -r line; do record incoming "${line%% *}" "${line#* }"; done
  read_losses
  git_ grep -lE '(^|[[:space:]])filter=' "$target" -- .gitattributes '**/.gitattributes' |
    while read -r line; do record filters "${line#*:}"; done
}

# tell_target: to those who read beside this and wait for it.
tell_target() {
  [ -e "$beside/target" ] || { printf '%s\n%s\n' "$head" "$target" >"$beside/told" && mv "$beside/told" "$beside/target"; }
}

await_target() {
  # Who was to tell it may have been killed; asking the remote takes its timeout twice at the most.
  until [ -e "$beside/target" ]; do
    [ "$SECONDS" -lt $((2 * fetch_timeout + 60)) ] || exit
    sleep 0.02
  done
  { read -r head; read -r target; } <"$beside/target"
}

ask_remote() {
  fetch_problem=$(
    git_timeout=$fetch_timeout problem git_ -c gc.auto=0 -c maintenance.auto=false \
      fetch -q "$remote" "+refs/heads/$branch:refs/remotes/$remote/$branch"
  )
}

# Whose fault it is that the remote could not be asked: the branch's, which it lacks, or another.
fetch_fault() {
  case $fetch_problem in
    '') ;;
    *'find remote ref'*) echo branch ;;
    *) echo other ;;
  esac
}

# A remote that answers and lacks the branch is asked what it has: the refs here may be long out of date.
read_branches() {
  local line
  case $(fetch_fault) in
    branch) git_timeout=$fetch_timeout git_ ls-remote --heads "$remote" | sed 's#^.*\trefs/heads/##' ;;
    *) git_ for-each-ref --format='%(refname:short)' refs/heads "refs/remotes/$remote" ;;
  esac | head -n 20 | while read -r line; do record known_branch "$line"; done
}

read_losses() {
  local name
  make_work_folder
  find_losses "$target"
  for name in "${unpushed[@]}"; do record unpushed "${name%% *}" "${name#* }"; done
  for name in "${changes[@]}"; do record uncommitted "$name"; done
  for name in "${endangered[@]}"; do record endangered "$name"; done
  for name in "${tracks_protected[@]}"; do record tracks_protected "$name"; done
  rm -rf "$work"
}

# What the engine says of the three containers, in one question: a name that is none is left out. Fields are parted by a
# unit separator, since Bash takes several tabs for one. With .Id for .ID the engine's own JSON would be asked, where what
# is left out is an error.
read_containers() {
  local field format= unit='{{"\x1f"}}' role name id image status restarts started service project folder environment files mounts
  for field in .Name .ID .Image .State.Status .RestartCount .State.StartedAt; do format+="{{$field}}$unit"; done
  for field in service project project.working_dir project.environment_file project.config_files; do
    format+="{{with .Config.Labels}}{{with index . \"com.docker.compose.$field\"}}{{.}}{{end}}{{end}}$unit"
  done
  format+='{{range .Mounts}}{{.Destination}}{{"\x1e"}}{{with .Name}}{{.}}{{else}}{{.Source}}{{end}}{{"\x1e"}}{{end}}'
  docker inspect --type container --format "$format" "$container" "$postgres_container" "$redis_container" \
    2>/dev/null >"$beside/containers"
  for role in app:"$container" postgres:"$postgres_container" redis:"$redis_container"; do
    while IFS=$'\x1f' read -r name id image status restarts started service project folder environment files mounts; do
      [ "$name" = "/${role#*:}" ] || continue
      files=$(present "$folder" "$files")
      record container "${role%%:*}" "$id" "$image" "$status" "$restarts" "$started" \
        "$service" "$project" "$(as_set "$folder")" "$environment" "$files" "${mounts//$'\x1e'/$'\n'}"
    done <"$beside/containers"
  done
}

# present FOLDER FILES: the compose files of a label, a line each; nothing where one is gone. Older Compose names them as
# it was told them, from its working directory.
present() {
  local file files=() names=()
  IFS=, read -ra names <<<"$2"
  for file in ${names[@]+"${names[@]}"}; do
    [[ $file == /* ]] || file=$1/$file
    [ -f "$file" ] || return 0
    files+=("$file")
  done
  ! [ ${#files[@]} != 0 ] || printf '%s\n' "${files[@]}"
}

# as_set FOLDER: as the settings call it, where that is the same one.
as_set() { if [ "$1" -ef "$path" ]; then printf '%s' "$path"; else printf '%s' "$1"; fi; }

# The other containers of the app's service, whoever's project they belong to. What `docker compose run` started is none.
read_siblings() {
  local format='{{.Names}}' unit='{{"\x1f"}}' label='{{.Label "com.docker.compose.' name status project folder once
  format+="$unit{{.State}}$unit${label}project\"}}$unit${label}project.working_dir\"}}$unit${label}oneoff\"}}"
  docker ps --all --filter "label=com.docker.compose.service=$service" --format "$format" |
    while IFS=$'\x1f' read -r name status project folder once; do
      if [ "$once" = True ] || [ "$name" = "$container" ]; then continue; fi
      record sibling "$name" "$status" "$project" "$(as_set "$folder")"
    done
}

# running NAME: so says the engine.
running() { [ "$(docker inspect --type container --format '{{.State.Status}}' "$1" 2>/dev/null)" = running ]; }

# What the program in the container is told of the target, while it looks at what does not depend on that: its entries,
# and then the blobs that it asks for.
tell_target_entries() {
  await_target
  hear_base
  [ -n "$target" ] || base=
  entries "$base" "$target" || return
  # It asks more than once. All of one question first: while it still asks it reads no answer.
  while true; do
    while hear && [ -n "$heard" ]; do printf '%s\n' "$heard"; done >"$beside/wanted"
    [ ! -s "$beside/wanted" ] || git_ cat-file --batch <"$beside/wanted"
  done
} 2>/dev/null

read_app() {
  local answer line head target status=0
  answer=$(inside_timeout=60 inside inspect "$inside_settings" tell_target_entries 2>"$beside/complaint") || status=$?
  if [ "$status" != 0 ]; then
    answer=$(printf '%s\n' "$answer" | cat - "$beside/complaint" | grep -v '^$' | tail -n 1)
    ! running "$container" || record app_problem "${answer:-docker exec ended with status $status}"
    return
  fi
  { read -r line; record app "$line"; while IFS= read -r line; do record app_text "$line"; done; } <<<"$answer"
  await_target
  # The record is the one flat object in the answer that has this name.
  running=$(printf '%s' "$answer" | sed -nE 's/.*"record": \{[^}]*"revision": "([0-9a-f]+)".*/\1/p')
  [ -n "$running" ] || read_matching
  [ -n "$target" ] || return 0
  differing nothing "$(git_ hash-object -t tree --stdin </dev/null)" "${unsuitable[@]}"
  differing head "$head" "${unsuitable[@]}"
  if [ -n "$running" ] && git_ cat-file -e "$running^{commit}" 2>/dev/null; then
    record running_known "$running"
    differing running "$running" "${unsuitable[@]}"
    differing change "$running" "${copied[@]}"
  fi
}

# differing KIND REVISION PATHSPEC...: the files in which the target differs from a revision, with the blobs of both.
differing() {
  local kind=$1 was now status name
  git_ diff --raw --no-abbrev --no-renames "$2" "$target" -- "${@:3}" 2>/dev/null |
    while IFS=$' \t' read -r _ _ was now status name; do record "differs_$kind" "$status" "$name" "$was" "$now"; done
}

read_database() {
  local answer
  if ! answer=$({
    cat <<'SQL'
select 'db_tables', count(*) from information_schema.tables
  where table_schema = any(current_schemas(false)) and table_type = 'BASE TABLE' and table_name <> 'alembic_version';
select 'db_column', table_name || '.' || column_name, data_type from information_schema.columns
  where table_schema = any(current_schemas(false)) and table_name || '.' || column_name = any(:'columns'::text[]);
select 'db_size', pg_database_size(current_database());
select 'db_invalid_index', i.indexrelid::regclass, i.indrelid::regclass from pg_index i
  join pg_class c on c.oid = i.indexrelid where not i.indisvalid and c.relkind = 'i' and not exists (
    select from pg_locks where relation = i.indrelid and mode = 'ShareUpdateExclusiveLock' and granted) order by 2;
SQL
    printf '%s\n' "$version_query"
  } | psql_ -v columns="$stamp_columns" 2>&1); then
    ! running "$postgres_container" || record database "$(printf '%s' "$answer" | grep -v '^$' | tail -n 1)"
    return
  fi
  record database ''
  printf '%s\n' "$answer"
}

# The first path of each check that does not answer 404; status 000: no answer.
read_health() {
  local check_url status i
  for ((i = 0; i < ${#probes[@]}; i += 2)); do
    status=$(curl -s --noproxy '*' -o /dev/null -w '%{http_code}' --max-time "$probe_timeout" "${probes[i + 1]}")
    record probe "${probes[i]}" "${probes[i + 1]}" "${status:-000}"
  done
}

# The newest lines of the app's error logs, newest log first: why an app that is ill is ill.
read_logs() { # PROBES
  [ -n "$want_logs" ] && awk -F '\t' '$4 !~ /^2/ {ill = 1} END {exit !ill}' "$1" || return 0
  local tell='ls -t "$@" 2>/dev/null | while read -r name; do
    tail -n 40 "$name" | cut -b -65536 | while IFS= read -r line; do printf "%s\t%s\n" "$name" "$line"; done
  done'
  docker exec "$container" sh -c "$tell" sh "${logs[@]}" 2>/dev/null |
    while IFS=$'\t' read -r name line; do record log "$name" "$line"; done
}

# Who holds the lock or held it last, and whether it is held: told by the kernel's list, for to try it would be to take it.
read_lock() {
  local folder
  folder=$(state_folder) && [ -r "$folder/holder" ] || return 0
  head -n 20 "$folder/holder" | cut -b -4096 | sed 's/^/holder\t/'
  ! grep -q ":$(stat -c %i "$folder/lock") " /proc/locks || record lock_held
}

# image ID: what the image that a container was made from says of itself: its revision by label, else nothing, and its date.
image() {
  docker inspect --type image --format \
    '{{with .Config.Labels}}{{with index . "org.opencontainers.image.revision"}}{{.}}{{end}}{{end}}{{"\t"}}{{.Created}}' "$1" 2>/dev/null
}

read_image() {
  local answer
  answer=$(image "$(awk -F $'\x1f' -v name="/$container" '$1 == name {print $3}' "$beside/containers")") || return 0
  printf 'image\t%s\n' "$answer"
}

# The commit that a container without a record has the files of, where its image does not name it.
read_matching() {
  [[ $(image "$(docker inspect --format '{{.Image}}' "$container" 2>/dev/null)") == [!$'\t']* ]] || record matching "$(matching)"
}

# The KiB that are free where dumps go; that folder may be still to be made.
read_backup_room() {
  local folder
  folder=$(backup_folder) || return 0
  until [ -d "${folder:-/}" ]; do folder=${folder%/*}; done
  record backup_room "$(df -Pk "${folder:-/}" | awk 'NR == 2 {print $4}')"
}

# Of which revisions of this database there are dumps.
read_dumps() {
  local folder about name value of at
  folder=$(backup_folder) || return 0
  for about in "$folder"/*.about; do
    [ -r "$about" ] || continue
    of='' at=''
    while IFS=$'\t' read -r name value; do
      case $name in database) of=$value ;; revision) at=$value ;; esac
    done <"$about"
    name=${about##*/}
    if [ "$of" = "$database" ] && [ -n "$at" ]; then record dumped "${name%.about}" "$at"; fi
  done
}

read_history() {
  local folder
  folder=$(state_folder) && [ -r "$folder/history" ] || return 0
  tail -n 500 "$folder/history" | cut -b -16384 | sed 's/^/history\t/'
}

# What does not wait for the repository is read beside it.
read_state() {
  if command -v docker >/dev/null; then
    { read_containers; read_image; } >"$beside/engine" &
    read_siblings >"$beside/siblings" &
    read_database >"$beside/database" &
    read_app >"$beside/app" &
  fi
  ! command -v curl >/dev/null || { read_health >"$beside/health"; read_logs "$beside/health" >"$beside/logs"; } &
  read_host >"$beside/host" &
  read_repository
  tell_target
  read_lock
  read_backup_room
  read_dumps
  read_history
  wait
  cat "$beside"/{host,engine,siblings,database,app,health,logs} 2>/dev/null
}

beside=$(mktemp -d)
trap 'rm -rf "$beside"' EXIT
{
  # First of all: what changes while the rest is read then differs from it under the lock.
  guard >"$beside/guard" &
  read_env
  read_state
  sed 's/^/guard\t/' "$beside/guard"
  record end
} 2>/dev/null | redact_records
