"""What authors of contracts work with: a consortium in memory, tests, explanations, trials."""
