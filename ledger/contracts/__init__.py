"""What is allowed: the contract language, its interpreter, and the rules themselves."""
