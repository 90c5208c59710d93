"""What people and systems talk to over HTTP."""
