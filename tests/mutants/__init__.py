"""Mutation testing of the pure layers: small defects put into `judge` and `facts` that their unit tests must notice."""
