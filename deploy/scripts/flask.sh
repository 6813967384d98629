# Flask-Migrate in the app container, as the code's owner.
# Expects besides the shared variables: owner, environment (array), migrate_timeout, tree (the folder to run it in), run.

# timeout inside the container too: one around docker exec would end only the client. What is started is marked with the
# run, its database sessions too, so that an undo can first end what is left of it.
flask_() {
  local options=() entry
  for entry in "${environment[@]}" "HOT_UPDATE_RUN=$run" "PGAPPNAME=hot-update $run"; do options+=(-e "$entry"); done
  docker exec -i "${options[@]}" -u "$owner" -w "$tree" "$container" \
    timeout -k 5 "$migrate_timeout" "$flask" db "$@" </dev/null
}

# repeat_error: pass a program's words on, and the error of a traceback once more as the last line, since what follows
# it there says less.
repeat_error() {
  local line inside= why=
  while IFS= read -r line || [ -n "$line" ]; do
    printf '%s\n' "$line"
    case $line in
      'Traceback '*) inside=1 ;;
      ' '* | '') ;;
      *) [ -z "$inside" ] || why=$line; inside= ;;
    esac
  done
  [ -z "$why" ] || printf '%s\n' "$why"
}
