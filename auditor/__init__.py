"""SockAudit: which shared limit of a node runs out next, who takes it, and what to change."""

__version__ = "0.1.0"
