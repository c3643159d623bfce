"""Things taken away for a while and put back: tbot, Teleport, istiod, nodes, lifetimes, authorities."""
