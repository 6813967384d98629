# Flask-Migrate in the app container, as the app server's workers run: with its master's environment, as their user.
# Expects besides the shared variables: app_server, as_worker (the program that does so), owner (who it is where no server
# runs, or the setting says), environment (array; it goes over the master's), migrate_timeout, tree (the folder to run it in), run,
# standby (the program that keeps the app imported between two commands), the database's script, session (what its
# session_variable is to say, besides what the app's own says; empty: nothing).

# in_app OPTION COMMAND...: run it there, with an option of docker exec. What is started is marked with the run, its database sessions
# too, so that an undo can first end what is left of it.
in_app() {
  local options=("$1") entry names=
  for entry in "${environment[@]}" "HOT_UPDATE_RUN=$run" "PGAPPNAME=hot-update $run"; do
    options+=(-e "$entry")
    names+=${entry%%=*},
  done
  docker exec "${options[@]}" -u 0 -w "$tree" "$container" \
    "$python" -I -c "$as_worker" "$app_server" "$app_user" "$owner" "$names" \
    sh -c "$with_session" sh "$session_variable" "$session" "${@:2}" </dev/null
}
with_session='[ -z "$2" ] || case $1 in
    PGOPTIONS) export PGOPTIONS="${PGOPTIONS:+$PGOPTIONS }$2" ;;
    *) export "$1=$2" ;;
  esac
  shift 2
  exec "$@"'

# stand_by: have the app stay imported from the first command of the run to its last.
stand_by() { in_app -d "$python" -c "$standby" serve "$run" && standby_patience=5; }

# timeout inside the container too: one around docker exec would end only the client.
flask_() {
  in_app -i timeout -k 5 "$migrate_timeout" \
    "$python" -c "$standby" ask "$run" "${standby_patience:-0}" "$flask" db "$@"
}

# agree: what psql read of the revision has to be what Alembic finds, as the app of the tree configures it: else migrations
# that have run would run again. Expects version_table and read_revisions, as read.
agree() {
  local said kind schema table found read at=()
  said=$(in_app -i timeout -k 5 "$migrate_timeout" \
    "$python" -c "$standby" ask "$run" "${standby_patience:-0}" "$flask" where 2>&1) || {
    repeat_error <<<"$said"
    say 'so Alembic could not tell where it keeps the revision' >&2
    return 1
  }
  while IFS=$'\t' read -r kind schema table found; do
    [ "$kind" = hot-update-place ] || continue
    [ "$schema" != - ] || schema=${version_table%".$table"}
    if [ "$found" = "$read_revisions" ] && [[ -z $version_table || $version_table = "$schema.$table" ]]; then return 0; fi
    at+=("$(say '%s at %s' "${schema:+$schema.}$table" "$(or_say "$found" 'no revision')")")
  done <<<"$said"
  if [ ${#at[@]} = 0 ]; then found=$(say 'no place for it'); else found=$(say ',' "${at[@]}"); fi
  if [ -n "$version_table" ]; then
    read=$(say '%s at %s' "$version_table" "$(or_say "$read_revisions" 'no revision')")
  else
    read=$(say 'no version table')
  fi
  say 'Alembic, as this code configures it, finds %s, but read was %s' "$found" "$read" >&2
  return 1
}

# repeat_error: pass a program's words on, without flask's advice to developers, and the error of a traceback once more as
# the last line, since what follows it there says less.
repeat_error() {
  local line inside= why=
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in ' * Tip: '*) continue ;; esac
    printf '%s\n' "$line"
    case $line in
      'Traceback '*) inside=1 ;;
      ' '* | '') ;;
      *) [ -z "$inside" ] || why=$line; inside= ;;
    esac
  done
  [ -z "$why" ] || printf '%s\n' "$why"
}

# tell_revisions: pass a program's words on, and of what Alembic logs the revision that comes now: who watches has little room.
tell_revisions() {
  local line
  while IFS= read -r line || [ -n "$line" ]; do
    if [[ ! $line =~ \ Running\ upgrade\ [^\>]*-\>\ ([^\ ,]+)(,\ (.+))?$ ]]; then
      printf '%s\n' "$line"
    elif [ -n "${BASH_REMATCH[3]}" ]; then
      say '%s begins: %s' "${BASH_REMATCH[1]}" "${BASH_REMATCH[3]}"
    else
      say '%s begins' "${BASH_REMATCH[1]}"
    fi
  done
}
