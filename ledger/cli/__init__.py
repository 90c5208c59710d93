"""The command ``health-ledger``."""
