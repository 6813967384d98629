"""Baseline of the production schema."""

from alembic import op

revision = "20251219161048"
down_revision = None


def upgrade():
    op.execute("CREATE TABLE users (id serial PRIMARY KEY, username varchar(255) NOT NULL UNIQUE)")
    op.execute("CREATE TABLE instances (id serial PRIMARY KEY, name varchar(255) NOT NULL)")
    op.execute("CREATE TABLE credentials (id serial PRIMARY KEY, name varchar(255) NOT NULL, instance_ids jsonb)")
    op.execute(
        "CREATE TABLE database_size_aggregations (id serial PRIMARY KEY, instance_id integer REFERENCES instances,"
        " size_mb bigint NOT NULL, calculated_at timestamp without time zone NOT NULL)"
    )


def downgrade():
    op.execute("DROP TABLE database_size_aggregations, credentials, instances, users")
