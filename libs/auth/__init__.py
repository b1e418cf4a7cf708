"""Who calls, how they prove it, and what each RPC lets in."""

from libs.auth.callers import ANONYMOUS, Caller, CallerKind, Role, caller, calling

__all__ = ["ANONYMOUS", "Caller", "CallerKind", "Role", "caller", "calling"]
