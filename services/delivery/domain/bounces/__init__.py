"""Bounces: mails that say what became of mails, read into rows."""

from services.delivery.domain.bounces.parse import parse
from services.delivery.domain.bounces.reasons import Reason
from services.delivery.domain.bounces.rows import Bounce

__all__ = ["Bounce", "Reason", "parse"]
