"""What keeps a node from signing twice, also when its store is not what it was.

`watermark` is a small file outside the database, `standing` the rule about when a node may vote,
`register` writes promises down in both places, `joining` asks the other validators.
"""
