"""Pages for people: static files, no scripts or styles from elsewhere, nothing inline."""
