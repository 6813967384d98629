"""Credentials no longer list their instances."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "20251224120000"
down_revision = "20251219161048"


def upgrade():
    op.drop_column("credentials", "instance_ids")


def downgrade():
    op.add_column("credentials", sa.Column("instance_ids", sa.JSON().with_variant(JSONB(), "postgresql")))
