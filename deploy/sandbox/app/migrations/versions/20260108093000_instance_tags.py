"""Tags for instances. A database may have them already: some were made from SQL files and stamped later."""

from alembic import op

revision = "20260108093000"
down_revision = "20251224134000"


def upgrade():
    op.execute(
        "CREATE TABLE IF NOT EXISTS instance_tags (instance_id integer REFERENCES instances (id), tag varchar(64))"
    )


def downgrade():
    op.execute("DROP TABLE instance_tags")
