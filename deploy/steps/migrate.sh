# Stamp where the plan says so, upgrade, and see that the database is where it should be.
# Expects besides the shared variables: stamp, upgrade, head.

# tell ARGUMENT...: flask db; the error of a traceback comes once more as the last line, since what follows it there
# says less.
tell() {
  local line inside= why=
  flask_ "$@" 2>&1 | {
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
}

if [ -n "$stamp" ]; then
  tell stamp "$stamp"
  echo "stamped with $stamp"
fi
[ -n "$upgrade" ] || exit 0
tell upgrade
reached=$(psql_ <<<"$version_query" | cut -f2 | paste -sd' ')
if [ "$reached" != "$head" ]; then
  echo "the upgrade ended without an error, but the database is at ${reached:-no revision} and not at $head" >&2
  exit 1
fi
echo "database at $head"
