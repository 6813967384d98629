"""Baseline of the production schema."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "20251219161048"
down_revision = None


def upgrade():
    op.create_table(
        "users",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("username", sa.String(255), nullable=False, unique=True),
    )
    op.create_table(
        "instances", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(255), nullable=False)
    )
    op.create_table(
        "credentials",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("instance_ids", sa.JSON().with_variant(JSONB(), "postgresql")),
    )
    op.create_table(
        "database_size_aggregations",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("instance_id", sa.Integer, sa.ForeignKey("instances.id")),
        sa.Column("size_mb", sa.BigInteger, nullable=False),
        sa.Column("calculated_at", sa.DateTime, nullable=False),
    )


def downgrade():
    for table in ("database_size_aggregations", "credentials", "instances", "users"):
        op.drop_table(table)
