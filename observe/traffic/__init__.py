"""Traffic between test pods: single requests with the account of both ends, and loads."""
