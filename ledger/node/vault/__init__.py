"""The record vault: where a holder's records are, what was said of them, and who may have one."""
