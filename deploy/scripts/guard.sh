# What a plan is made from: read when it is made, again under the lock before anything is changed, and once more, with the
# schema, when a run ends by saying that it left things as they were.
guard() {
  # Not named as what the database's script expects: its questions would go to a database of that name.
  local running revision_there others
  # The slow answers are on their way while git gives its own.
  exec {running}< <(record_sum) {others}< <(guard_others) {revision_there}< <(
    { tell_versions 2>/dev/null || printf 'db_revision\t%s\n' "$(say 'cannot be asked')"; } |
      sed -n 's/^db_revision\t//p' | tr '\t' ' ' | paste -sd' '
  )
  record "$(say 'container')" "$(container_id "$container")"
  record HEAD "$(git_ rev-parse -q --verify HEAD 2>/dev/null)"
  record "$(say 'branch')" "$(git_ symbolic-ref -q HEAD 2>/dev/null)"
  guard_work_tree
  record "$(say 'running release')" "$(cat <&"$running")"
  cat <&"$others"
  record "$(say 'database revision')" "$(cat <&"$revision_there")"
  exec {running}<&- {others}<&- {revision_there}<&-
}

# The other containers that run the code.
guard_others() {
  local name
  other_containers | while IFS=$'\x1f' read -r name _; do
    record "$(say 'container %s' "$name")" "$(container_id "$name")"
    record "$(say 'running release of %s' "$name")" "$(container=$name record_sum)"
  done
}

# evidence WHEN: what a run compares `before` and `after` it; the schema is left in a file of the run's folder,
# where no step has taken it.
evidence() {
  [ "$1" = before ] || rm -f "schema.$1" "schema.$1.problem"
  know_schema "schema.$1" &
  guard
  wait
}

# Each file that git knows and that was changed, by its name. What it does not know is not for the plan: the sync looks
# by itself whether such a file is in its way.
guard_work_tree() {
  local entry name
  {
    git_ status --porcelain -z -uno --no-renames --ignore-submodules=all 2>/dev/null || printf '!! \0'
  } | while IFS= read -r -d '' entry; do
    if [ "$entry" = '!! ' ]; then say 'work tree: unreadable'; else say 'work tree: %s' "${entry:3}"; fi
    printf '%s\n' "${entry:0:2}"
  done | while IFS= read -r name && IFS= read -r entry; do record "$name" "$entry"; done
}
