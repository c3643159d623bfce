"""Installation of Teleport's resources and of tbot on a cluster, and a Teleport that the suite starts."""
