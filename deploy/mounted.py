"""Code that is mounted: the app's folder in the container is the clone itself, so a release is there once the clone is.

Nothing is copied then. The database is migrated before the clone moves, from the tree that was proven, since workers
that recycle import what the clone has; and the way back is the clone's.
"""

from deploy.settings import Settings
from deploy.state import State


def is_mounted(settings: Settings, state: State) -> bool:
    """Tell whether the app's folder in the container is the clone on the host."""
    return settings.app.path in state.clone_at


def ordered(names: tuple[str, ...]) -> tuple[str, ...]:
    """Order the steps for mounted code: the clone moves right before the copy, which only writes down what came."""
    if "sync" not in names or "copy" not in names:
        return names
    rest = tuple(name for name in names if name != "sync")
    at = rest.index("copy")
    return (*rest[:at], "mount", "sync", *rest[at:])
