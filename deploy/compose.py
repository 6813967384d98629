"""The commands that restart, stop and start a service's container: as Compose's labels on it say.

A variable, a settings file or a changed compose file can name another project, so that Compose finds nothing to do.
"""

from dataclasses import replace
from pathlib import PurePosixPath
from typing import TypeVar

from deploy import shell
from deploy.settings import Settings
from deploy.settings.model import App, Database, Redis
from deploy.state import Container, State

_Service = TypeVar("_Service", App, Database, Redis)


def named(settings: Settings, state: State) -> Settings:
    """Name the containers that the settings leave to Compose, as they were found."""
    found = {role: one.name for role, one in state.containers.items()}
    return replace(
        settings,
        app=_named(settings.app, found.get("app", "")),
        database=_named(settings.database, found.get("database", "")),
        redis=settings.redis and _named(settings.redis, found.get("redis", "")),
    )


def _named(service: _Service, name: str) -> _Service:
    return service if service.container else replace(service, container=name)


def words(container: Container) -> tuple[str, ...]:
    """Name Compose with the container's own project; nothing where labels or files are missing."""
    if not container.project or not container.files:
        return ()
    first = PurePosixPath(container.files[0])
    return (
        *("docker", "compose", "-p", container.project),
        *(("--project-directory", container.folder) if container.folder != str(first.parent) else ()),
        *(("--env-file", container.environment) if container.environment else ()),
        *(word for file in container.files for word in ("-f", file)),
    )


def of_app(state: State) -> tuple[str, ...]:
    """Name Compose for the app's container; nothing where it would touch another one too, which the service has."""
    return words(state.containers["app"]) if state.alone else ()


def control(settings: Settings, state: State, verb: str) -> str:
    """Say how the app's container is restarted, stopped or started."""
    compose, app = of_app(state), settings.app
    return shell.sh(*compose, verb, app.service) if compose else shell.sh("docker", verb, app.container)


def up(settings: Settings, state: State, service: str) -> str:
    """Say how a service that has no container gets one: in the project of those that are there."""
    known = next(filter(None, map(words, state.containers.values())), ())
    compose = known or ("docker", "compose", "-f", f"{settings.target.path}/{settings.compose.file}")
    return shell.sh(*compose, "up", "-d", service)
