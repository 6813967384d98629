"""The maintenance page: that users get it instead of the app, that it is gone, or that it cannot be put there."""

from collections.abc import Iterator

from deploy import maintenance, remedies
from deploy.plan import Finding, Options
from deploy.settings import Settings
from deploy.state import State


def page(settings: Settings, state: State, options: Options) -> Iterator[Finding]:
    check, target = "maintenance", settings.target.name
    if told := maintenance.told(settings, state):
        remedy = remedies.page_off if maintenance.is_on(settings, state) else remedies.page_again
        yield Finding("warning", check, told, remedy(target))
    if options.page and (why := maintenance.obstacle(settings, state)):
        yield Finding("refusal", check, why, remedies.NAME_SITE)
