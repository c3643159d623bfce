"""Other people's installs: the lab laid out as others lay theirs out, certified, and compared with what is expected.

``python -m tests.installs`` takes all of them, one after the other, on one kept lab. Each layout is right, so it passes but
for what ``expected.yaml`` says. Each has one fault that the suite must still find in it.
"""
