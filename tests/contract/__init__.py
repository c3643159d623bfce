"""Black-box tests of the stand-in for Teleport: its command lines, its endpoints and its socket, with foreign clients.

By default they test the stand-in as processes of this machine. With ``--teleport-image`` (and ``--tbot-image``) the same
tests run against images, be it the stand-in's or Teleport's own: that is how the stand-in is held to the original.
"""
