"""Alembic's way to the app's database, by Flask-Migrate."""

from logging.config import fileConfig

from alembic import context
from flask import current_app

config = context.config
fileConfig(config.config_file_name, disable_existing_loggers=False)
database = current_app.extensions["migrate"].db


def url() -> str:
    """Return the database's URL with its password, as ConfigParser wants it."""
    return database.engine.url.render_as_string(hide_password=False).replace("%", "%%")


def run_migrations_offline() -> None:
    """Print the SQL."""
    context.configure(url=url(), target_metadata=database.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def run_migrations_online() -> None:
    """Run the migrations in one transaction."""
    with database.engine.connect() as connection:
        context.configure(connection=connection, target_metadata=database.metadata)
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    run_migrations_offline()
else:
    run_migrations_online()
