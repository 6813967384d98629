"""Aggregations remember the time zone."""

from alembic import op

revision = "20251224134000"
down_revision = "20251224120000"


def upgrade():
    op.execute(
        "ALTER TABLE database_size_aggregations"
        " ALTER COLUMN calculated_at TYPE timestamp with time zone USING calculated_at AT TIME ZONE 'UTC'"
    )


def downgrade():
    op.execute(
        "ALTER TABLE database_size_aggregations"
        " ALTER COLUMN calculated_at TYPE timestamp without time zone USING calculated_at AT TIME ZONE 'UTC'"
    )
