"""How fast a consortium is on this machine, beside what the machine itself can do."""
