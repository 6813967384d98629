"""Aggregations remember the time zone, where the database knows one."""

import sqlalchemy as sa
from alembic import op

revision = "20251224134000"
down_revision = "20251224120000"


def upgrade():
    _change(sa.DateTime(timezone=True))


def downgrade():
    _change(sa.DateTime())


def _change(kind):
    op.alter_column(
        "database_size_aggregations",
        "calculated_at",
        type_=kind,
        existing_nullable=False,
        postgresql_using="calculated_at AT TIME ZONE 'UTC'",
    )
