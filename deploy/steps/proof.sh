# Prove, before anything is changed, that the new code boots in the app's container and its real environment, in a tree
# beside the running one, and tell what its migrations would drop or rewrite.
# Expects commit.sh, schema.sh, flask.sh and what those expect, proof_command, proof_environment (array), proof_timeout,
# pending (from:to of the migrations to run; empty: none), writable (the new code may write to the database).

boot() {
  local environment=("${proof_environment[@]}" PYTHONDONTWRITEBYTECODE=1)
  in_app -i timeout -k 5 "$proof_timeout" sh -c "$timed" sh "$proof_command"
}
# Tells when it began and ended, each with how long the machine's processors had been idle, and what it and its children
# took of one.
timed='read -r began </proc/uptime; sh -c "$1"; status=$?; read -r ended </proc/uptime
  printf "%s %s %s\n" hot-update-boot "$began" "$ended"; times; exit "$status"'

# learn_demand: pass a boot's words on, but for what is told of its times: how long it took, and which part of that it wanted
# a processor for. On a machine that was never idle meanwhile the latter cannot be told, and a restart goes without.
learn_demand() {
  local line times
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in 'hot-update-boot '*) ;; *) printf '%s\n' "$line"; continue ;; esac
    times=$line
    IFS= read -r _ && IFS= read -r line || continue
    awk -v times="$times" -v took="$line" '
      function seconds(time) { split(time, part, /[ms]/); return part[1] * 60 + part[2] }
      BEGIN { split(times, at, " "); split(took, of, " "); passed = at[4] - at[2]
        printf "%.2f\n", passed >"boot"
        if (passed > 0 && at[5] - at[3] > passed / 4)
          printf "%.2f\n", (seconds(of[1]) + seconds(of[2])) / passed }' >demand
  done
}

# Not every migration can be written down without a database: that alone proves nothing.
flag_statements() {
  local sql line
  if ! sql=$(flask_ upgrade --sql "$pending" 2>/dev/null); then
    say 'its migrations cannot be shown as SQL'
    return 0
  fi
  grep -iE '^ *(drop|truncate|delete|alter table .* (drop|rename|alter column .* type))' <<<"$sql" |
    grep -viE '^ *(delete from|drop table) alembic_version' |
    while IFS= read -r line; do say 'drops or rewrites: %s' "$line"; done || true
}

# What the migration will meet. Who stands by ends after a command that fails, so the one that may goes last.
look_ahead() {
  stand_by || true
  agree && : >"$work/agreed" || return 0
  flag_statements
}

# What goes past libpq, or overrules its options, can write all the same.
refuse_written() {
  local found
  [ -n "$asking" ] || return 0
  echo >&"$booted"
  wait "$asking" || true
  [ -e schema.proven ] || return 0
  found=$(schema_differences schema.before schema.proven)
  rm -f schema.proven
  [ -n "$found" ] || return 0
  tell_differences <<<"$found"
  say 'the new code changed the database while it booted, although its sessions were to be read-only' >&2
  exit 1
}

[ -n "$writable" ] || session=$read_only
know_schema schema.before &
tree=$(bring true)
wait
# From here on the processors are free, and the new code changes nothing that the plan was made from.
: >booting
asking=
if [ -z "$writable" ] && [ -e schema.before ]; then
  # Connected by the time that there is something to ask.
  exec {word}<> <(:)
  keep_schema schema.proven <"/dev/fd/$word" {word}>&- &
  asking=$!
  exec {booted}>"/dev/fd/$word" {word}>&-
fi
# Each of the two imports the app, so they do it at the same time; the migration goes on with what the latter imported.
[ -z "$pending" ] || look_ahead >"$work/flagged" 2>&1 &
looking=$!
boot 2>&1 | learn_demand | repeat_error
say '%s boots beside the running release' "${revision:0:7}"
wait "$looking" || true
if [ -n "$pending" ]; then
  [ -e "$work/agreed" ] || { cat "$work/flagged" >&2; exit 1; }
  cat "$work/flagged"
fi
refuse_written
