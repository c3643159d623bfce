"""Traffic: what the test pods asked, what their servers saw, and the load that one of them sends."""
