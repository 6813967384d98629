"""The settings of another service that runs the code, as if it were the app's and alone."""

from dataclasses import replace

from deploy.settings.model import Settings


def of_service(settings: Settings, name: str) -> Settings:
    """Narrow the settings to one that `also` names: what differs there over what is the app's.

    What only the app has is left out: files with a place elsewhere, what is built for users, locks and singletons.
    """
    also, app, restart = settings.also[name], settings.app, settings.restart
    return replace(
        settings,
        also={},
        app=replace(
            app,
            service=also.service or name,
            container=also.container,
            path=also.path or app.path,
            user=also.user or app.user,
        ),
        files={},
        built={},
        restart=replace(
            restart,
            strategy=also.restart or restart.strategy,
            programs=also.programs or restart.programs,
            exclusive_files=(),
            single=(),
            reload=(),
        ),
    )
