# Have processes serve that run what the clone has again, as restart.sh does, which follows; and where the container was
# recreated meanwhile, write down again what that is.
# Expects commit.sh and what that expects with revision as the old one (empty: unknown), container_id.

# The clone was not touched.
[ -s clone.before ] || exit 0
if [ -n "$revision" ] && [ "$(docker inspect --type container --format '{{.Id}}' "$container")" != "$container_id" ]; then
  bring false
fi
