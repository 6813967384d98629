# Stamp where the plan says so, upgrade, and see that the database is where it should be.
# Expects besides the shared variables: stamp, upgrade, head.

if [ -n "$stamp" ]; then
  flask_ stamp "$stamp" 2>&1 | repeat_error
  echo "stamped with $stamp"
fi
[ -n "$upgrade" ] || exit 0
flask_ upgrade 2>&1 | repeat_error
reached=$(psql_ <<<"$version_query" | cut -f2 | paste -sd' ')
if [ "$reached" != "$head" ]; then
  echo "the upgrade ended without an error, but the database is at ${reached:-no revision} and not at $head" >&2
  exit 1
fi
echo "database at $head"
