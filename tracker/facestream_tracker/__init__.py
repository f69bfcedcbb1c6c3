"""The tracker: results in, people and audience figures out."""
