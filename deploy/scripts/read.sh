# Tell the host's whole state in records. Changes nothing but the remote-tracking branch, when the remote is asked.
# Expects besides the shared variables: target_is (remote: the branch's head, after a fetch; head: the clone's HEAD;
# running: nothing, only what runs is looked at; serving: of that what a proof judges; commit:NAME), want_logs, want_preview,
# and record_fields: of each kind of record what its fields are called; those with a * are text, which only passes without
# secrets; and of_run: the run that is to be confirmed by this look, which waits for that (empty: none). Where the laptop brings
# the commits (via), offered: the head of the branch there, nothing where it has none to give; bundle_sum: the sha256 of the
# bundle on stdin, nothing before the laptop knows what is lacking.

# In seconds, that a run may still take when who looks at its end gets ready for that.
longest_run=86400

# problem COMMAND...: run it quietly; what it complained of is the answer, nothing when it succeeded.
problem() {
  local output
  output=$("$@" 2>&1 >/dev/null) && return
  or_say "$(git_words <<<"$output")" 'failed'
}

# attempt FUNCTION CHECK...: what the function cannot read to its end is no good sign for these checks: they are told why.
attempt() {
  local status check why=$beside/why-$BASHPID
  (set -eo pipefail; "$1") 2>"$why"
  status=$?
  [ "$status" != 0 ] || return 0
  why=$(tail -n 1 "$why" | grep -a "^$mark" || git_words <"$why")
  [ -n "$why" ] || why=$(say 'status %s' "$status")
  for check in "${@:2}"; do record unread "$check" "$why"; done
}

# wait_on: for a moment. Where the reading was cut off nobody waits on.
wait_on() { [ -d "$beside" ] || exit; pause 0.03; }

# What several ask for who read side by side is asked once: `share` has a command write it down, `shared` waits for that.
share() { # NAME COMMAND...
  "${@:2}" >"$beside/$1.part"
  mv "$beside/$1.part" "$beside/$1"
}

shared() { # NAME
  until [ -e "$beside/$1" ]; do
    [ "$SECONDS" -lt $((2 * fetch_timeout + 120)) ] || return
    wait_on
  done
  cat "$beside/$1"
}

# So it is with what guard asks for.
all_containers() { shared compose; }
container_id() { shared containers | awk -F $'\x1f' -v name="/$1" '$1 == name {print $2}'; }
record_sum() { shared "sum-$container"; }
tell_versions() {
  local told
  told=$(shared database)
  [ "$database_kind" = none ] || grep -q $'^database\t$' <<<"$told" || return
  grep -a '^db_' <<<"$told" || true
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
  [ -n "$env_file" ] || { record env none; return; }
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
  [ -d "$path" ] || { record repository "$fault" "$(say 'no such folder')"; return; }
  if ! answer=$(git_ rev-parse --show-toplevel 2>&1); then
    [[ $answer != *'dubious ownership'* ]] || fault=foreign
    record repository "$fault" "$(printf '%s' "$answer" | head -n 1)"
    return
  fi
  [ "$answer" -ef "$path" ] || { record repository "$fault" "$(say 'it lies inside the repository %s' "$answer")"; return; }
  record repository '' '' "$git_folder" "$clone_owner"
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
    running | serving) ;;
    *) find_named "${target_is#commit:}" ;;
  esac
  [ -z "$target" ] || attempt read_missing repository
  tell_target
  git_ remote -v | awk '$3 == "(fetch)" {print $1 "\t" $2}' | without_credentials | sort -u |
    while IFS=$'\t' read -r name url; do record remote "$name" "$url"; done
  read_branches
  answer=$(git_ symbolic-ref -q HEAD)
  record head "$head" "${answer#refs/heads/}" "$target"
  [ ! -e "$git_folder/index.lock" ] || record index_lock "$git_folder/index.lock"
  [ -n "$target" ] || return 0
  attempt read_incoming remote
  attempt read_losses 'work tree' commits 'protected paths'
  attempt read_filters filters
  attempt read_line_endings 'line endings'
  attempt read_submodules submodules
}

# find_named NAME: the commit that somebody means, by its id or by the name of a tag or a branch, as target. Where several
# bear the name, none of them is meant.
find_named() {
  local name=${1%%[~^@:]*} ref commit known=() commits=()
  for ref in "refs/tags/$name" "refs/heads/$name" "refs/remotes/$remote/$name" "$name"; do
    # Beside a name only an id counts.
    [ "$ref" != "$name" ] || [ ${#known[@]} = 0 ] || [[ $name =~ ^[0-9a-f]{4,64}$ ]] || continue
    commit=$(git_ rev-parse -q --verify "$ref${1#"$name"}^{commit}" 2>/dev/null) || continue
    known+=("$(say '%s is %s' "$ref" "${commit:0:7}")")
    [[ " ${commits[*]} " == *" $commit "* ]] || commits+=("$commit")
  done
  case ${#commits[@]} in
    0) ;;
    1) target=${commits[0]} ;;
    *) for name in "${known[@]}"; do record ambiguous "$name"; done ;;
  esac
}

read_incoming() {
  local line
  git_ log --no-show-signature --no-color --format='%h %s' -n 1000 ${head:+"^$head"} "$target" -- |
    while read -r line; do record incoming "${line%% *}" "${line#* }"; done
}

# Files whose bytes on disk are not those that git stores.
read_filters() {
  local name
  attributes "$target" '(^|[[:space:]])filter=' >"$beside/filters"
  while IFS= read -r -d '' name; do record filters "${name#*:}"; done <"$beside/filters"
}

# Files that git would take for changed as soon as it has written them: called text, and stored with CRLF all the same.
read_line_endings() {
  local entry attribute index=$scratch/index-endings
  [ "$head" != "$target" ] || return 0
  attributes "$target" '(^|[[:space:]])(text|eol=[a-z]+)([[:space:]]|$)' >"$beside/texts"
  [ -s "$beside/texts" ] || [ -s "$git_folder/info/attributes" ] || return 0
  by_owner mkdir -p "$scratch/objects" "$scratch/no-files"
  aside read-tree "$target"
  GIT_WORK_TREE=$scratch/no-files aside ls-files --eol -z >"$beside/endings"
  while IFS= read -r -d '' entry; do
    attribute=${entry#*attr/}
    [[ $entry != i/crlf* && $entry != i/mixed* ]] || [[ $attribute != text[[:space:]]* ]] ||
      record line_endings "${entry#*$'\t'}"
  done <"$beside/endings"
}

# What a partial clone has not got yet is fetched now, since nothing later asks the remote.
read_missing() {
  git_ config --get-regexp '^remote\..*\.promisor$' >"$beside/promisor" || return 0
  missing >"$beside/missing"
  [ -s "$beside/missing" ] || return 0
  [ "$via" = laptop ] || git_timeout=$fetch_timeout git_ -c fetch.negotiationAlgorithm=noop fetch -q --no-tags \
    --no-write-fetch-head --filter=blob:none --stdin "$remote" <"$beside/missing" || true
  missing >"$beside/missing"
  [ -s "$beside/missing" ] || return 0
  say 'the clone is partial and lacks %s files of %s' "$(wc -l <"$beside/missing")" "${target:0:7}" >&2
  return 1
}

missing() { git_ rev-list --objects --no-object-names --no-walk --missing=print "$target" -- | sed -n 's/^?//p'; }

# attributes COMMIT PATTERN: the .gitattributes in it with such a line, as COMMIT:NAME with a NUL after each.
attributes() { git_ grep -lzE "$2" "$1" -- .gitattributes '**/.gitattributes' || [ $? = 1 ]; }

# Submodules whose files the clone cannot give, each with the commit, and the command that gets it.
read_submodules() {
  local tree entry name commit
  git_ ls-tree -r -z --full-tree "$target" | links >"$beside/links"
  [ -s "$beside/links" ] || return 0
  tree=$(flatten "$target")
  raw_difference "$(git_ hash-object -t tree --stdin </dev/null)" "$tree" -- "${copied[@]}" >"$beside/flat"
  while IFS= read -r -d '' entry && IFS= read -r -d '' name; do
    [[ $entry == ':000000 160000 '* ]] || continue
    commit=${entry#:* * * } commit=${commit%% *}
    record submodule "$name" "$commit" "$(getting "$name")"
  done <"$beside/flat"
}

# getting PATH: the command that brings the commits of a submodule into the clone, whether it is checked out or not.
getting() {
  local entry name= url= place
  while IFS= read -r -d '' entry; do
    [ "${entry#*$'\n'}" != "$1" ] || { name=${entry%%.path$'\n'*} name=${name#submodule.}; }
  done < <(git_ config -z --blob "$target:.gitmodules" --get-regexp '^submodule\..*\.path$' 2>/dev/null)
  place=$git_folder/modules/$name
  [ ! -e "$path/$1/.git" ] || place=$path/$1
  if [ -n "$name" ] && [ -e "$place" ]; then
    printf '%s' "$(as_owner)git -C $(quoted "$place") fetch origin '+refs/heads/*:refs/remotes/origin/*'"
    return
  fi
  url=$(git_ config --blob "$target:.gitmodules" "submodule.$name.url" 2>/dev/null) || return 0
  [[ -z $name || /$name/ == */../* ]] ||
    printf '%s' "$(as_owner)git clone --bare $(quoted "$(resolved "$url" | without_credentials)") $(quoted "$place")"
}

# resolved URL: one that is relative, as git takes it: from the URL of the remote on.
resolved() {
  local url=$1 base
  case $url in ./* | ../*) ;; *) printf '%s' "$url"; return ;; esac
  base=$(git_ config "remote.$remote.url")
  [[ $base == /* || $base == *:* ]] || base=$path/$base
  base=${base%/}
  while :; do
    case $url in
      ./*) url=${url#./} ;;
      ../*) url=${url#../} base=${base%/*} ;;
      *) break ;;
    esac
  done
  printf '%s/%s' "$base" "$url"
}

# tell_target: to those who read beside this and wait for it.
tell_target() {
  [ -e "$beside/target" ] || { printf '%s\n%s\n' "$head" "$target" >"$beside/told" && mv "$beside/told" "$beside/target"; }
}

await_target() {
  # Who was to tell it may have been killed; asking the remote takes its timeout twice at the most.
  until [ -e "$beside/target" ]; do
    [ "$SECONDS" -lt $((2 * fetch_timeout + 60)) ] || exit
    wait_on
  done
  { read -r head; read -r target; } <"$beside/target"
}

ask_remote() {
  if [ "$via" = laptop ]; then fetch_problem=$([ -z "$offered" ] || take_offered); return; fi
  fetch_problem=$(
    git_timeout=$fetch_timeout problem git_ -c gc.auto=0 -c maintenance.auto=false \
      fetch -q "$remote" "+refs/heads/$branch:refs/remotes/$remote/$branch"
  )
}

# take_offered: put what the laptop offers where a fetch would have; what keeps it from that is the answer.
take_offered() {
  # What is only borrowed would not be written.
  local scratch= tracking=refs/remotes/$remote/$branch why
  if [ "$(git_ rev-parse -q --verify "$tracking")" = "$offered" ]; then
    return
  elif has_offered; then
    problem plain update-ref -m "fetch $remote" "$tracking" "$offered"
  elif [ "$(sha256sum <"$beside/bundle" | cut -d ' ' -f 1)" != "$bundle_sum" ]; then
    or_say "$unkept" 'the bundle was cut off on its way'
  else
    why=$(problem plain bundle verify "$beside/bundle")
    [ -n "$why" ] || why=$(problem plain fetch -q --no-tags "$beside/bundle" "+$offered:$tracking")
    printf '%s' "$why"
  fi
}

# has_offered: it is here, with all that it is made of.
has_offered() {
  [ "$(git_ rev-parse -q --verify "refs/remotes/$remote/$branch")" = "$offered" ] ||
    git_ rev-list --objects --quiet --exclude-promisor-objects "$offered" --not --all
}

# tell_known: what the laptop needs to know of the clone, so that it packs only what that lacks.
tell_known() {
  record lacks "$offered"
  { git_ rev-parse -q HEAD "refs/remotes/$remote/$branch"; git_ rev-list -n 200 --all; } |
    grep -xE '[0-9a-f]{40,64}' | sort -u | sed 's/^/known\t/'
  [ ! -s "$git_folder/shallow" ] || sed 's/^/shallow\t/' "$git_folder/shallow"
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
    *) git_ for-each-ref --format='%(refname:lstrip=2)' refs/heads "refs/remotes/$remote" ;;
  esac | head -n 20 | while read -r line; do record known_branch "$line"; done
}

read_losses() {
  local name work
  work=$(owned_folder)
  trap 'rm -rf "$work"' EXIT
  find_losses "$target"
  for name in "${unpushed[@]}"; do record unpushed "${name%% *}" "${name#* }"; done
  for name in "${changes[@]}"; do record uncommitted "$name"; done
  for name in "${endangered[@]}"; do record endangered "$name"; done
  for name in "${tracks_protected[@]}"; do record tracks_protected "$name"; done
  find_gone
  [ "$gone" = 0 ] || record rewritten "$gone_from" "$(plain rev-parse "refs/remotes/$remote/$branch^{commit}")" "$gone"
}

# ask_engine NAME...: what the engine says of these containers, in one question: a name that is none is left out. Fields are
# parted by a unit separator, since Bash takes several tabs for one. With .Id for .ID the engine's own JSON would be asked,
# where what is left out is an error.
ask_engine() {
  local field format= unit='{{"\x1f"}}'
  for field in .Name .ID .Image .State.Status .RestartCount .State.StartedAt .State.Pid; do format+="{{$field}}$unit"; done
  for field in service project project.working_dir project.environment_file project.config_files; do
    format+="{{with .Config.Labels}}{{with index . \"com.docker.compose.$field\"}}{{.}}{{end}}{{end}}$unit"
  done
  format+="{{with .Config.StopTimeout}}{{.}}{{end}}$unit{{.Config.Image}}$unit"
  format+="{{with .State.Health}}{{.Status}}{{end}}$unit"
  format+='{{range .Mounts}}{{.Destination}}{{"\x1e"}}{{with .Name}}{{.}}{{else}}{{.Source}}{{end}}{{"\x1e"}}{{end}}'
  docker inspect --type container --format "$format" "$@" 2>/dev/null
}

# tell_container ROLE NAME: what was said of it, on stdin.
tell_container() {
  local answer used name id image status restarts started pid service project folder environment files grace health mounts
  while IFS=$'\x1f' read -r name id image status restarts started pid service project folder environment files grace _ health mounts; do
    [ -n "$2" ] && [ "$name" = "/$2" ] || continue
    files=$(present "$folder" "$files")
    answer=$(memory "$pid") || answer=
    used=${answer#*$'\t'}
    record container "$1" "$2" "$id" "$image" "$status" "$restarts" "$started" "$service" "$project" "$(as_set "$folder")" \
      "$environment" "$files" "${mounts//$'\x1e'/$'\n'}" "$grace" "$health" "${used%%$'\t'*}"
    [ "$1" = app ] || continue
    [ -z "$answer" ] || printf 'memory\t%s\n' "$answer"
    tell_clone "$mounts"
  done
}

# tell_clone MOUNTS: where the clone is mounted; of each mount its place and its source.
tell_clone() {
  local place source
  while IFS= read -r -d $'\x1e' place && IFS= read -r -d $'\x1e' source; do
    if [[ $source == /* ]] && [ "$source" -ef "$path" ]; then record clone_at "$place"; fi
  done <<<"$1"
}

read_containers() {
  local name role roles=(app:"$container" database:"$database_container" redis:"$redis_container") named=()
  for name in ${needs[@]+"${needs[@]}"}; do roles+=("service $name:$(container_of "$name")"); done
  for role in "${roles[@]}"; do [ -z "${role#*:}" ] || named+=("${role#*:}"); done
  for name in $(other_containers | cut -d $'\x1f' -f 1); do named+=("$name"); done
  share containers ask_engine ${named[@]+"${named[@]}"}
  for role in "${roles[@]}"; do
    tell_container "${role%%:*}" "${role#*:}" <"$beside/containers"
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

# The other containers of the app's service, whoever's project they belong to, and those of its image that no setting names.
# What `docker compose run` started is none.
read_siblings() {
  local line name state of image project folder once
  line=$(awk -F $'\x1f' -v name="$container" '$1 == name {print $4 FS $5}' <<<"$(all_containers)")
  while IFS=$'\x1f' read -r name state of image project folder once; do
    [ "$name" != "$container" ] || continue
    if [ "$of" = "$service" ]; then
      record sibling "$name" "$state" "$project" "$(as_set "$folder")"
    elif [ "$state" = running ] && [ "$image"$'\x1f'"$project" = "$line" ] && ! named "$of"; then
      record unlisted "$name" "$of"
    fi
  done < <(all_containers)
}

# named SERVICE: it is one that runs the code too, by the settings.
named() {
  local i
  for ((i = 0; i < ${#also[@]}; i += 4)); do [ "${also[i + 1]}" != "$1" ] || return 0; done
  return 1
}

# What is told of every other container that runs the code, as of the app's.
read_others() {
  local number=0 name of settings file
  while IFS=$'\x1f' read -r name of settings; do
    file=$beside/other-$((++number))
    (
      container=$name inside_settings=$settings
      record other "$of" "$container"
      shared containers | tell_container app "$container"
      read_app
      # Each replica by itself: the others hide one that is ill from who asks all of them.
      [ -n "$of" ] || read_health within
    ) >"$file" &
  done < <(other_containers)
  wait
  for ((of = 1; of <= number; of++)); do cat "$beside/other-$of"; done
  record alone
}

# running NAME: so says the engine.
running() { [ "$(docker inspect --type container --format '{{.State.Status}}' "$1" 2>/dev/null)" = running ]; }

# What the program in the container is told of the target, while it looks at what does not depend on that: its entries,
# and then the blobs that it asks for.
tell_target_entries() {
  await_target
  hear_base
  [ -n "$target" ] || base=
  # What keeps them from being known is a finding of its own.
  entries "$base" "$target" || printf '\0\0'
  # It asks more than once. All of one question first: while it still asks it reads no answer.
  while true; do
    # Where that folder is gone nobody reads this any more.
    while hear && [ -n "$heard" ]; do printf '%s\n' "$heard"; done >"$beside/wanted-$container" || exit
    [ ! -s "$beside/wanted-$container" ] || git_ cat-file --batch <"$beside/wanted-$container"
  done
} 2>/dev/null

# tell_unseen WHY: nothing could be done in it. One that was started again meanwhile ends again and again, though it runs
# at times, also when the engine was asked.
tell_unseen() {
  local before now
  before=$(shared containers | grep "^/$container"$'\x1f' | cut -d $'\x1f' -f 4,5)
  now=$(ask_engine "$container" | cut -d $'\x1f' -f 4,5)
  case $now in
    running* | restarting*) ;;
    *) return 0 ;;
  esac
  if [[ $now == running* ]] && [ "$now" = "$before" ]; then
    record app_problem "$1"
  else
    record app_problem "$(container_error)"
    shared containers | awk -v FS=$'\x1f' -v OFS=$'\x1f' '{$4 = "restarting"} 1' | tell_container app "$container"
  fi
}

read_app() {
  local answer line head target status=0
  answer=$(inside_timeout=60 inside inspect "$inside_settings" tell_target_entries 2>"$beside/complaint-$container") || status=$?
  if [ "$status" != 0 ]; then
    answer=$(printf '%s\n' "$answer" | cat - "$beside/complaint-$container" | grep -v '^$' | tail -n 1)
    [ -n "$answer" ] || answer=$(say 'docker exec ended with status %s' "$status")
    share "sum-$container" sum_record
    tell_unseen "$answer"
    return
  fi
  { read -r line; record app "$line"; while IFS= read -r line; do record app_text "$line"; done; } <<<"$answer"
  share "sum-$container" sed -nE 's/.*"record_sum": "([0-9a-f]*)".*/\1/p' <<<"$answer"
  await_target
  # The record is the one flat object in the answer that has this name.
  running=$(printf '%s' "$answer" | sed -nE 's/.*"record": \{[^}]*"revision": "([0-9a-f]+)".*/\1/p')
  [ -n "$running" ] || read_matching
  attempt read_sources built
  [ -n "$target" ] || return 0
  attempt read_differing suitable
}

# What the built folders are made from, and which of them the host has.
read_sources() {
  local i name now was folder specs
  by_owner mkdir -p "$scratch/objects"
  for ((i = 0; i < ${#built[@]}; i += 4)); do
    name=${built[i]} now='' was='' folder=''
    mapfile -t specs <<<"${built[i + 3]}"
    [ -z "$target" ] || now=$(sources "$target" "${specs[@]}")
    was=$now
    [ "$running" = "$target" ] || was=$(sources "$running" "${specs[@]}" 2>/dev/null) || was=
    [ -z "$now" ] || [ -z "${built[i + 2]}" ] || folder=$(built_in_clone "${built[i + 1]}" "$now" "${specs[@]}")
    record sources "$name" "$now" "$was" "$([ ! -s "$(built_store "$name")/$now.tar" ] || echo 1)" "$folder"
  done
}

read_differing() {
  differing nothing '' "${unsuitable[@]}"
  [ -z "$head" ] || differing head "$head" "${unsuitable[@]}"
  if [ -n "$running" ] && git_ cat-file -e "$running^{commit}" 2>/dev/null; then
    record running_known "$running"
    git_ merge-base --is-ancestor "$running" "refs/remotes/$remote/$branch" || record running_gone "$running"
    differing running "$running" "${unsuitable[@]}"
    differing change "$running" "${copied[@]}"
  fi
}

# read_releases: the commits that run, that the clone is at and that is next, as far as the clone has them.
read_releases() {
  local head target now
  await_target
  now=$(date +%s)
  [ -z "$running$head$target" ] ||
    tell_commits release --no-walk=unsorted --ignore-missing ${running:+"$running"} ${head:+"$head"} ${target:+"$target"}
}

# What a dry run tells besides: the commits that the target and what runs have alone, and how many lines change in each
# file. Where what runs is unknown, the clone's commit stands for it.
read_preview() {
  local head target from now added gone name
  [ -n "$want_preview" ] || return 0
  record previewed
  await_target
  from=$running
  git_ cat-file -e "$from^{commit}" || from=$head
  [ -n "$from" ] && [ -n "$target" ] || return 0
  now=$(date +%s)
  tell_commits coming "^$from" "$target"
  tell_commits going "^$target" "$from"
  git_ diff-tree -r -z --numstat --no-renames "$from" "$target" -- "${copied[@]}" |
    while IFS=$'\t' read -r -d '' added gone name; do record lines "$name" "$added" "$gone"; done
}

tell_commits() { # KIND REVISION...
  local commit made subject
  git_ log --no-show-signature --no-color --format='%h %ct %s' -n 1000 "${@:2}" -- |
    while read -r commit made subject; do record "$1" "$commit" $((now - made)) "$subject"; done
}

# differing KIND REVISION PATHSPEC...: the files in which the target differs from a revision, with the blobs of both. A
# submodule of which the clone lacks what ran is told as one.
differing() {
  local kind=$1 list=$beside/differing-$BASHPID was now status name
  difference "$2" "$target" "${@:3}" >"$list" || raw_difference "$2" "$target" -- "${@:3}" >"$list"
  while IFS=' ' read -r -d '' _ _ was now status && IFS= read -r -d '' name; do
    record "differs_$kind" "$status" "$name" "$was" "$now"
  done <"$list"
}

# Where the database's dump program is looked for, and which of its names it has there.
read_client() {
  local place look='for name; do command -v "$name" >/dev/null && echo "$name" && break; done'
  place=$(client_place)
  if [ -z "$dump_programs" ] || [ -z "$place" ]; then return 0; fi
  # shellcheck disable=SC2086 # words
  record db_client "$place" "$(at_client "$place" sh -c "$look" sh $dump_programs 2>/dev/null)"
}

read_database() {
  local answer
  if answer=$(tell_database 2>&1); then
    [ "$database_kind" = none ] || record database ''
    printf '%s\n' "$answer"
    read_client
  elif [ -z "$database_service" ] || running "$database_container"; then
    record database "$(printf '%s' "$answer" | grep -v '^$' | tail -n 1)"
  fi
}

# read_health [WITHIN]: of each check its paths up to the first that does not answer 404; status 000: no answer. With WITHIN
# of those that are asked inside.
read_health() {
  local i name= status
  for ((i = 0; i < ${#probes[@]}; i += 4)); do
    [ -z "${1-}" ] || [ -n "${probes[i + 3]}" ] || continue
    if [ "${probes[i]}" = "$name" ] && [ "$status" != 404 ]; then continue; fi
    name=${probes[i]}
    status=$(fetch "${probes[@]:i + 1:3}" "$probe_timeout" /dev/null)
    record probe "$name" "${probes[i + 1]}" "$status"
  done
}

# The newest lines of the app's error logs, newest log first: why an app that is ill is ill.
read_logs() { # PROBES
  [ -n "$want_logs" ] && [ ${#logs[@]} != 0 ] &&
    awk -F '\t' '{told[$2] = $4} END {for (name in told) if (told[name] !~ /^2/) exit 0; exit 1}' "$1" || return 0
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
  ! lock_held "$folder" || record lock_held
}

# Which containers were given the maintenance page.
read_maintenance() {
  local folder
  folder=$(state_folder) && [ -r "$folder/maintenance" ] || return 0
  head -n 100 "$folder/maintenance" | cut -b -4096 | sed 's/^/maintenance\t/'
}

# image ID: what the image that a container was made from says of itself: its revision by label, else nothing, and its date.
image() {
  docker inspect --type image --format \
    '{{with .Config.Labels}}{{with index . "org.opencontainers.image.revision"}}{{.}}{{end}}{{end}}{{"\t"}}{{.Created}}' "$1" 2>/dev/null
}

# read_images: what bears the name now that the image of each container that runs the code had, and what did before a bake;
# and of the app's own image what it says of itself, which mostly is the one that bears its name.
read_images() {
  local name own of id created last revision told
  local -A bearers=()
  own=$(awk -F $'\x1f' -v name="/$container" '$1 == name {print $3}' "$beside/containers")
  for name in "$container" $(other_containers | cut -d $'\x1f' -f 1); do
    of=$(awk -F $'\x1f' -v name="/$name" '$1 == name {print $14; exit}' "$beside/containers")
    id=
    if [ -n "$of" ]; then
      [ -n "${bearers[$of]-}" ] || bearers[$of]=$(bearer "$of")
      IFS=$'\x1f' read -r id created last revision <<<"${bearers[$of]}"
      record named "$name" "$of" "$id" "$last"
    fi
    [ "$name" = "$container" ] || continue
    if [ "$id" = "$own" ]; then told=$revision$'\t'$created; else told=$(image "$own") || continue; fi
    printf 'image\t%s\n' "$told"
  done
  for name in "${!bearers[@]}"; do
    last=${name##*/}
    tell_tagged "$name" "${bearers[$name]}"
    name=${name%"$last"}${last%%:*}:before-bake
    [ -z "${bearers[$name]-}" ] || continue
    bearers[$name]=$(bearer "$name")
    tell_tagged "$name" "${bearers[$name]}"
  done
}

# tell_tagged NAME BEARER: of what bears the name its id, its date, the release in it.
tell_tagged() {
  local id created baked revision
  IFS=$'\x1f' read -r id created baked revision <<<"$2"
  [ -n "$id" ] || return 0
  revision=${baked:-$revision}
  record tagged "$1" "$id" "$created" "$revision" "$(subject_of "$revision")"
}

# subject_of COMMIT: nothing where there is no such one.
subject_of() { [ -z "$1" ] || git_ log -n 1 --no-show-signature --no-color --format=%s "$1" -- || true; }

# bearer NAME: the id of the image of that name, its date, and by its labels the release that was baked into it and its
# revision, with a unit separator between; nothing where nothing bears it.
bearer() {
  local unit='{{"\x1f"}}' label='{{with .Config.Labels}}{{with index . "' end='"}}{{.}}{{end}}{{end}}'
  docker inspect --type image --format \
    "{{.Id}}$unit{{.Created}}$unit$label$baked_label$end$unit${label}org.opencontainers.image.revision$end" "$1" 2>/dev/null ||
    printf '\037\037\037'
}

# The commit that a container without a record has the files of, where its image does not name it.
read_matching() {
  local told
  told=$(image "$(docker inspect --format '{{.Image}}' "$container" 2>/dev/null)")
  [[ $told != [!$'\t']* ]] || return 0
  told=$(matching "${told#*$'\t'}")
  record matching "$told" "$(subject_of "$told")"
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

# beyond_serving COMMAND...: what a proof does not judge, and users wait for at its end.
beyond_serving() { [ "$target_is" = serving ] || "$@"; }

# is_confirming [SECONDS]: wait, at the most for so long, until the run that this look is of is to be confirmed; fails where
# it is not, or has ended otherwise.
is_confirming() (
  folder=$(state_folder)/runs/$of_run
  flock --shared "$folder/alive" true </dev/null >/dev/null 2>&1 &
  alive=$!
  grep -qaE $'^[0-9.]+\tconfirming\t' < <(exec ${1:+timeout "$1"} tail -n +1 -s 0.05 -f --pid="$alive" "$folder/journal")
  status=$?
  kill "$alive"
  exit "$status"
)

# await_run: go on once a run needs this look, where it is one's.
await_run() {
  [ -z "$of_run" ] || is_confirming || exit
  SECONDS=0
}

# await_run_ready: the same, with what is waited for longest ready by then; the run's last step has the processors first.
await_run_ready() {
  [ -z "$of_run" ] || is_confirming 1 || { cd "$beside" && ahead=$longest_run stand_ready; }
  await_run
}

# What does not wait for the repository is read beside it.
read_state() {
  local name
  if command -v docker >/dev/null; then
    { await_run_ready; running=; read_app; beyond_serving read_releases; read_preview; } >"$beside/app" &
    await_run
    share compose compose_containers &
    { read_containers; beyond_serving read_images; } >"$beside/engine" &
    beyond_serving read_siblings >"$beside/siblings" &
    share database read_database &
    read_others >"$beside/others" &
  else
    for name in compose containers database "sum-$container"; do share "$name" true; done
  fi
  ! command -v curl >/dev/null ||
    { beyond_serving read_health >"$beside/health"; beyond_serving read_logs "$beside/health" >"$beside/logs"; } &
  beyond_serving read_host >"$beside/host" &
  beyond_serving read_repository
  tell_target
  for name in read_lock read_maintenance read_backup_room read_dumps read_history; do beyond_serving "$name"; done
  wait
  cat "$beside"/{host,engine,siblings,database,app,health,logs,others} 2>/dev/null
}

beside=$(owned_folder)
trap 'rm -rf "$beside"' EXIT
scratch=$beside
{
  unkept=
  [ -z "$bundle_sum" ] || unkept=$(cat 2>&1 >"$beside/bundle")
  # Without such a remote there is no place for it.
  [ -z "$offered" ] || git_ config "remote.$remote.url" >/dev/null || offered=
  if [ -n "$offered" ] && [ -z "$bundle_sum" ] && ! has_offered; then tell_known; exit; fi
  know_submodules
  # First of all: what changes while the rest is read then differs from it under the lock.
  beyond_serving guard >"$beside/guard" &
  beyond_serving read_env
  read_state
  sed 's/^/guard\t/' "$beside/guard"
  record end
} 2>/dev/null | redact_records
