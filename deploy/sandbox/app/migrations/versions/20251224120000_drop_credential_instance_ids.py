"""Credentials no longer list their instances."""

from alembic import op

revision = "20251224120000"
down_revision = "20251219161048"


def upgrade():
    op.execute("ALTER TABLE credentials DROP COLUMN instance_ids")


def downgrade():
    op.execute("ALTER TABLE credentials ADD COLUMN instance_ids jsonb")
