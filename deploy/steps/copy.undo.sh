# Bring the files back as they were before the copy. restart.sh follows, for workers may have imported new code meanwhile.
# Expects containers.sh and what that expects, container_id of the container that was copied into, container_started,
# inside_settings.

# revive.sh has given the old release to one that was recreated meanwhile.
[ "$(docker inspect --type container --format '{{.Id}}' "$container" 2>/dev/null)" = "$container_id" ] || exit 0
# An undo that was killed may have brought the files back already, and not have restarted the app.
again=
[ ! -e "copy.undoing-$container" ] || again=1
: >"copy.undoing-$container"
# One that ends again and again may do so meanwhile.
undone=$(inside undo "$inside_settings" </dev/null) || { looping && hold && undone=$(inside undo "$inside_settings" </dev/null); }
printf '%s\n' "$undone"
if [ -z "$again" ] && [ "$undone" = "$(say 'the copy had not touched anything')" ]; then exit 0; fi
