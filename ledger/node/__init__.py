"""One member's process."""
