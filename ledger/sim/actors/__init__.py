"""Validators that do not keep to the rules: real nodes whose words are changed on their way out."""
