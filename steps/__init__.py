"""Steps: bind each sentence of the features to a reading and a judgment."""
