"""Facts about the provider of identities, whichever it is."""
