"""A permissioned ledger for medical consortia."""
