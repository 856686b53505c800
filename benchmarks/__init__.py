"""The memory lab: what the server costs, measured from outside, on the real server."""
